import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { setting } from '../connection.ts';
import type { Capture } from './evidence.ts';

const mostBytes = 32 * 1024 * 1024;

/** `logs/`: the services' lines of the time from the file sink, and the local stores' logs; says where other logs are. */
export async function captureLogs({ terminal, folder, from, to, miss }: Capture): Promise<string> {
  const file = await setting(terminal, 'LOG_SINK_FILE');
  const elsewhere = ['LOG_SINK_SYSLOG', 'LOG_SINK_HTTP'].flatMap((name) =>
    terminal.env[name] ? [`${name} (${hostOf(terminal.env[name])})`] : [],
  );
  const others = elsewhere.length === 0 ? '' : ` They also go to ${elsewhere.join(' and ')}.`;
  const own: string[] = [];
  if (file !== undefined) {
    try {
      const lines = await linesOf(file, (line) => isWithin(line, from, to));
      await folder.write('logs/services.jsonl', lines);
      own.push(`services' lines from ${file}`);
    } catch (error) {
      miss("services' logs", `LOG_SINK_FILE ${file}: ${(error as Error).message}`);
    }
  } else {
    const where = elsewhere.length === 0 ? "on the processes' stdout" : `at ${elsewhere.join(' and ')}`;
    miss("services' logs", `no LOG_SINK_FILE is known here: they are ${where}; fetch them there for this time`);
  }
  for (const log of await storeLogs(dirname(terminal.localEnvFile), from)) {
    await folder.write(`logs/${log.name}`, await linesOf(log.path, () => true));
    own.push(log.path);
  }
  return own.length === 0 ? `None could be copied.${others}` : `Copied: ${own.join(', ')}.${others}`;
}

/** What `npm start` in this clone keeps beside its data. */
async function storeLogs(folder: string, from: Date): Promise<{ name: string; path: string }[]> {
  const names = await readdir(folder).catch(() => []);
  const found: { name: string; path: string }[] = [];
  for (const name of names.filter((name) => name.endsWith('.log'))) {
    const path = join(folder, name);
    if ((await stat(path)).mtime >= from) found.push({ name, path });
  }
  return found;
}

/** The last of a file's lines that are wanted, up to a size. */
async function linesOf(file: string, wanted: (line: string) => boolean): Promise<string> {
  const kept: string[] = [];
  let bytes = 0;
  const input = createReadStream(file, 'utf8');
  for await (const line of createInterface({ input, crlfDelay: Infinity })) {
    if (!wanted(line)) continue;
    kept.push(line);
    bytes += line.length + 1;
    while (bytes > mostBytes) bytes -= (kept.shift()?.length ?? 0) + 1;
  }
  return kept.map((line) => `${line}\n`).join('');
}

function isWithin(line: string, from: Date, to: Date): boolean {
  const time = /"time":"([^"]+)"/.exec(line)?.[1];
  return time !== undefined && time >= from.toISOString() && time <= to.toISOString();
}

function hostOf(url: string | undefined): string {
  return url !== undefined && URL.canParse(url) ? new URL(url).host : 'an address that cannot be read';
}
