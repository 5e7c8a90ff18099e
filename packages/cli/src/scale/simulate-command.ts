import { readFile, writeFile } from 'node:fs/promises';
import {
  byCpu,
  byDesiredWorkers,
  byWaitLength,
  poissonArrivals,
  readTrace,
  seeded,
  simulate,
  type Arrival,
  type Burst,
  type Outcome,
  type ScalingPolicy,
} from '@flowstate/scaling';
import { InvalidArgumentError, type Command } from 'commander';
import { panels } from '../charts/panels.ts';
import { formatTable } from '../table.ts';
import { CommandError, exitCodes, type Terminal } from '../terminal.ts';

type Options = {
  trace?: string;
  burst?: Burst[];
  base: number;
  duration: number;
  service: number;
  concurrency: number;
  min: number;
  max: number;
  waitGoal: number;
  startUp: number;
  step: number;
  cpuAtFull: number;
  seed: number;
  svg?: string;
  json?: boolean;
};

/** More would take minutes and tell nothing new. */
const maxArrivals = 1_000_000;

/** `flowstate scale simulate`: what an arrival trace makes of the workers, by our decision and by two usual ones. */
export function addSimulateCommand(scale: Command, { stdout }: Terminal): void {
  scale
    .command('simulate')
    .description('replay a trace through the scaling decision and what KEDA and the HPA make of it, beside two others')
    .option('--trace <file>', 'recorded runs, a line each: seconds,service (seconds since the begin, seconds it takes)')
    .option(
      '--burst <rate:seconds@at>',
      'runs a second for so long from there on, e.g. 60:120@300; may be repeated',
      burst,
    )
    .option('--base <rate>', 'runs a second all the time', number('--base', 0), 2)
    .option('--duration <seconds>', 'length of what is made up', number('--duration', 1), 1800)
    .option('--service <seconds>', 'mean time a run takes', number('--service', 0.1), 4)
    .option('--concurrency <places>', 'runs that one worker holds', number('--concurrency', 1), 16)
    .option('--min <workers>', 'at least', number('--min', 0), 0)
    .option('--max <workers>', 'at most', number('--max', 1), 50)
    .option('--wait-goal <seconds>', 'within which what waits is to begin', number('--wait-goal', 0.1), 10)
    .option('--start-up <seconds>', 'until a new worker serves', number('--start-up', 0), 20)
    .option('--step <seconds>', 'length of a step: what a worker that leaves still ends', number('--step', 0.1), 1)
    .option(
      '--cpu-at-full <share>',
      'of its CPU request that a worker with all places taken uses',
      number('--cpu-at-full', 0.01),
      1,
    )
    .option('--seed <number>', 'for what is made up, and for which pods leave', number('--seed', 0), 1)
    .option('--svg <file>', 'write the picture there')
    .option('--json', 'all figures and samples as JSON')
    .action(async (options: Options) => {
      const arrivals = await arrivalsOf(options);
      const outcomes = compare(arrivals, options);
      if (options.svg !== undefined) await writeFile(options.svg, picture(outcomes));
      if (options.json) {
        stdout.write(`${JSON.stringify(outcomes, null, 2)}\n`);
        return;
      }
      stdout.write(
        formatTable(
          columns.map(([name]) => name),
          outcomes.map((o) => columns.map(([, cell]) => cell(o))),
        ),
      );
      if (options.svg !== undefined) stdout.write(`picture: ${options.svg}\n`);
    });
}

async function arrivalsOf(options: Options): Promise<Arrival[]> {
  if (options.trace === undefined) {
    const { base, duration, service } = options;
    const bursts = options.burst ?? [];
    const expected = base * duration + bursts.reduce((sum, { rate, seconds }) => sum + rate * seconds, 0);
    if (expected > maxArrivals) {
      throw new CommandError(
        `--base and --burst make ${Math.round(expected)} runs; at most ${maxArrivals}`,
        exitCodes.usage,
      );
    }
    return poissonArrivals({ durationSeconds: duration, base, bursts, serviceSeconds: service }, seeded(options.seed));
  }
  if (options.burst !== undefined) {
    throw new CommandError('--burst makes runs up, --trace has them: give one of them', exitCodes.usage);
  }
  const text = await readFile(options.trace, 'utf8').catch((error: Error) => {
    throw new CommandError(`--trace: ${error.message}`, exitCodes.usage);
  });
  const { arrivals, errors } = readTrace(text);
  if (errors.length > 0) {
    const told = errors.slice(0, 10).map(({ line, field, message }) => `--trace, line ${line}, ${field}: ${message}`);
    if (errors.length > 10) told.push(`and ${errors.length - 10} more`);
    throw new CommandError(told.join('\n'), exitCodes.usage);
  }
  if (arrivals.length > maxArrivals) {
    throw new CommandError(`--trace holds ${arrivals.length} runs; at most ${maxArrivals}`, exitCodes.usage);
  }
  return arrivals;
}

function compare(arrivals: Arrival[], options: Options): Outcome[] {
  const { min, max, concurrency, waitGoal, startUp, step, cpuAtFull, seed } = options;
  if (min > max) throw new CommandError('--min must not be above --max', exitCodes.usage);
  const policy: ScalingPolicy = {
    min,
    max,
    concurrency,
    utilisation: 0.8,
    waitGoalSeconds: waitGoal,
    connections: null,
    providerRunsPerSecond: null,
  };
  const pool = { concurrency, startUpSeconds: startUp, stepSeconds: step };
  return [byDesiredWorkers(policy), byCpu(policy, { target: 0.8, cpuAtFull }), byWaitLength(policy)].map((autoscaler) =>
    simulate(arrivals, autoscaler, pool, { seed }),
  );
}

const seconds = (value: number) => `${value.toFixed(1)} s`;

const columns: [string, (outcome: Outcome) => string][] = [
  ['SCALED BY', ({ name }) => name],
  ['RUNS', ({ runs }) => String(runs)],
  ['WAIT P50', ({ wait }) => seconds(wait.p50)],
  ['P95', ({ wait }) => seconds(wait.p95)],
  ['MAX', ({ wait }) => seconds(wait.max)],
  ['PEAK BACKLOG', ({ peakWaiting }) => String(peakWaiting)],
  ['PEAK WORKERS', ({ peakReplicas }) => String(peakReplicas)],
  ['WORKER-HOURS', ({ workerHours }) => workerHours.toFixed(2)],
  ['HANDED BACK', ({ handedBack }) => String(handedBack)],
  ['DONE AFTER THE LAST', ({ doneAfter }) => (doneAfter === null ? 'not within 3 h' : seconds(doneAfter))],
];

function picture(outcomes: Outcome[]): string {
  // What goes on for hours in one would hide the others.
  const until = Math.min(...outcomes.map(({ samples }) => samples.at(-1)?.at ?? 0));
  const lines = (value: (sample: Outcome['samples'][number]) => number) =>
    outcomes.map(({ name, samples }) => ({
      label: name,
      points: samples.filter(({ at }) => at <= until).map((sample): [number, number] => [sample.at, value(sample)]),
    }));
  return panels('One trace, three ways to scale', [
    { title: 'Runs that wait', unit: '', lines: lines(({ waiting }) => waiting) },
    { title: 'Workers', unit: '', lines: lines(({ replicas }) => replicas) },
    { title: 'Wait of the runs that begin, p95', unit: 's', lines: lines(({ p95Wait }) => p95Wait) },
  ]);
}

function number(option: string, least: number) {
  return (text: string): number => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isFinite(value) || value < least) {
      throw new InvalidArgumentError(`${option} must be a number of at least ${least}.`);
    }
    return value;
  };
}

function burst(text: string, before: Burst[] = []): Burst[] {
  const [, rate, seconds, at] = /^(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)@(\d+(?:\.\d+)?)$/.exec(text) ?? [];
  if (rate === undefined) throw new InvalidArgumentError('It must be rate:seconds@at, as in 60:120@300.');
  return [...before, { rate: Number(rate), seconds: Number(seconds), at: Number(at) }];
}
