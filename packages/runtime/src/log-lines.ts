import { styleText } from 'node:util';

type Colour = Parameters<typeof styleText>[0];

const levels: Record<string, Colour> = {
  trace: 'gray',
  debug: 'gray',
  info: 'green',
  warn: 'yellow',
  error: 'red',
  fatal: 'red',
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
  const fields = Object.entries(entry)
    .filter(([key]) => !hidden.has(key))
    .map(([key, value]) => paint('gray', `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`));
  const level = paint(levels[entry.level] ?? 'gray', entry.level.toUpperCase().padEnd(5));
  const first = [clock(Date.parse(entry.time)), who, level, entry.msg ?? '', ...fields];
  const trace = typeof entry.err === 'object' ? (entry.err.stack ?? entry.err.message) : undefined;
  if (typeof entry.err === 'string') first.push(paint('gray', `err=${entry.err}`));
  return trace === undefined ? first.join(' ') : `${first.join(' ')}\n${trace.replace(/^/gm, '    ')}`;
}

/** Only what the line says, for use inside another message. */
export function messageOf(line: string): string {
  const entry = parseEntry(line);
  if (!entry) return line;
  const cause = typeof entry.err === 'object' ? entry.err.message : entry.err;
  return [entry.msg, cause].filter((text) => text !== undefined && text !== '').join(': ');
}

/** As packages/runtime's logger writes it. */
type Entry = { level: string; time: string; msg?: string; err?: string | { message?: string; stack?: string } };

function parseEntry(line: string): Entry | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const value = JSON.parse(line) as Partial<Entry>;
    return typeof value.level === 'string' && typeof value.time === 'string' ? (value as Entry) : undefined;
  } catch {
    return undefined;
  }
}

function clock(time: number): string {
  return new Date(time).toTimeString().slice(0, 8);
}
