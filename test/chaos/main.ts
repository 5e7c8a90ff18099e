import { parseArgs } from 'node:util';
import { runChaos } from './chaos.ts';
import { randomSeed } from '../support/random.ts';

const usage = `npm run test:chaos [-- --runs N --minutes M --every S --seed S]

Runs a mixed workload while processes are killed, stopped and drained and stores are restarted and flushed; then holds
the ledger against what clients and the far end of the effects saw. Exit code 0 when nothing was lost or repeated.

  --runs N     runs to start (10000)
  --minutes M  spread over this time (a minute for every 1000 runs)
  --every S    seconds between two faults on average (3)
  --seed S     replays a schedule of faults and a workload; a random one is chosen and printed otherwise
  --help       this text`;

const whole = (name: string, text: string | undefined, otherwise: number): number => {
  const value = text === undefined ? otherwise : Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new Error(`--${name} must be a whole number above 0, not ${text}`);
};

const positive = (name: string, text: string | undefined, otherwise: number): number => {
  const value = text === undefined ? otherwise : Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new Error(`--${name} must be a number above 0, not ${text}`);
};

const stop = new AbortController();
const cleanups: (() => unknown)[] = [];
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => stop.abort());
process.once('disconnect', () => stop.abort());

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      runs: { type: 'string' },
      minutes: { type: 'string' },
      every: { type: 'string' },
      seed: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const runs = whole('runs', values.runs, 10_000);
  const minutes = positive('minutes', values.minutes, runs / 1_000);
  const report = await runChaos(
    { teardown: (cleanup: () => unknown) => void cleanups.unshift(cleanup) },
    {
      runs,
      seed: whole('seed', values.seed, randomSeed()),
      durationMs: minutes * 60_000,
      faultEveryMs: positive('every', values.every, 3) * 1_000,
      say: (line) => console.log(line),
      signal: stop.signal,
    },
  );
  if (typeof report === 'string') throw new Error(report);
  for (const { what, story } of report.violations) {
    console.error(`\n✗ ${what}`);
    for (const line of story) console.error(`    ${line}`);
  }
  console.log(`\n${report.summary}`);
  return report.violations.length === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  for (const cleanup of cleanups) await cleanup();
}
process.exit();
