import { styleText } from 'node:util';

type Colour = Parameters<typeof styleText>[0];

const levels: Record<number, { label: string; colour: Colour }> = {
  10: { label: 'TRACE', colour: 'gray' },
  20: { label: 'DEBUG', colour: 'gray' },
  30: { label: 'INFO ', colour: 'green' },
  40: { label: 'WARN ', colour: 'yellow' },
  50: { label: 'ERROR', colour: 'red' },
  60: { label: 'FATAL', colour: 'red' },
};

const colours: Record<string, Colour> = { gateway: 'cyan', worker: 'magenta', controller: 'blue', flowstate: 'bold' };
const widest = 'redis-cache'.length;

/** Fields every line has or that say nothing on one machine. */
const hidden = new Set(['level', 'time', 'msg', 'pid', 'hostname', 'service', 'name', 'v', 'err', 'version', 'commit']);

export type LineStyle = { colour: boolean };

/** One line of a service's output for people: pino's JSON becomes `time name LEVEL message key=value`, else it stays. */
export function readableLine(name: string, line: string, { colour }: LineStyle): string {
  const paint = (style: Colour, text: string): string =>
    colour ? styleText(style, text, { validateStream: false }) : text;
  const who = paint(colours[name] ?? 'gray', name.padEnd(widest));
  const entry = parseEntry(line);
  if (!entry) return `${clock(Date.now())} ${who} ${line}`;
  const level = levels[entry.level] ?? { label: String(entry.level), colour: 'gray' };
  const fields = Object.entries(entry)
    .filter(([key]) => !hidden.has(key))
    .map(([key, value]) => paint('gray', `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`));
  const first = [clock(entry.time), who, paint(level.colour, level.label), entry.msg ?? '', ...fields];
  const trace = entry.err?.stack ?? entry.err?.message;
  return trace === undefined ? first.join(' ') : `${first.join(' ')}\n${trace.replace(/^/gm, '    ')}`;
}

/** Only what the line says, for use inside another message. */
export function messageOf(line: string): string {
  const entry = parseEntry(line);
  if (!entry) return line;
  return [entry.msg, entry.err?.message].filter((text) => text !== undefined && text !== '').join(': ');
}

type Entry = { level: number; time: number; msg?: string; err?: { message?: string; stack?: string } };

function parseEntry(line: string): Entry | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const value = JSON.parse(line) as Partial<Entry>;
    return typeof value.level === 'number' && typeof value.time === 'number' ? (value as Entry) : undefined;
  } catch {
    return undefined;
  }
}

function clock(time: number): string {
  return new Date(time).toTimeString().slice(0, 8);
}
