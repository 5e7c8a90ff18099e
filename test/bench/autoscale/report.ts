import { hpaSyncSeconds, type Look, type Outcome } from '@flowstate/scaling';
import { medianOf } from '../medians.ts';
import { shown, tableOf } from '../table.ts';
import type { RealOutcome } from './real-run.ts';

/**
 * What the simulator may be off by: it does not know how long this machine takes for a step under load. One look of the
 * HPA (15 s) is what a replica may come or go sooner or later; to zero KEDA looks every 30 s.
 */
const tolerance = { replicas: 1, waitSeconds: 5, workerHours: 0.2, downSeconds: hpaSyncSeconds, zeroSeconds: 45 };

type Curve = { samples: { at: number; waiting: number; replicas: number }[] };
type Row = { name: string; of: (outcome: RealOutcome | Outcome) => number; within?: number; share?: boolean };

/**
 * A real run beside what was predicted of it. There are several predictions, as the controller's second may begin at any
 * time before a look: what counts is the range they span.
 */
export function reportOf(real: RealOutcome, predictions: readonly Outcome[]): string {
  const until = real.samples.at(-1)?.at ?? 0;
  const rows: Row[] = [
    { name: 'workers at most', of: (o) => peakOf(o, until), within: tolerance.replicas },
    { name: 'runs waiting at most', of: ({ peakWaiting }) => peakWaiting },
    { name: 'wait p50, s', of: ({ wait }) => wait.p50, within: tolerance.waitSeconds },
    { name: 'wait p95, s', of: ({ wait }) => wait.p95, within: tolerance.waitSeconds },
    { name: 'longest wait, s', of: ({ wait }) => wait.max },
    { name: 'worker-hours', of: (o) => podHours(o, until), within: tolerance.workerHours, share: true },
    { name: 'fewer workers again after, s', of: fallsTo((peak) => peak - 1), within: tolerance.downSeconds },
    { name: 'one worker after, s', of: fallsTo(() => 1), within: tolerance.downSeconds },
    { name: 'none after, s', of: fallsTo(() => 0), within: tolerance.zeroSeconds },
  ];
  const { drainSeconds: drains, startUpSeconds } = real;
  return [
    '',
    tableOf(
      ['', 'real', 'simulated', 'within'],
      rows.map(({ name, of, within, share = false }) => {
        const [least, most] = rangeOf(predictions.map(of));
        const value = of(real);
        const [down, up] = share
          ? [least * (1 - (within ?? 0)), most * (1 + (within ?? 0))]
          : [least - (within ?? 0), most + (within ?? 0)];
        const ok = within === undefined ? '' : value >= down && value <= up ? 'yes' : 'NO';
        return [name, shown(value), rangeText(least, most), ok];
      }),
    ),
    '',
    `tolerance: ${tolerance.replicas} worker, ${tolerance.waitSeconds} s of wait, ${tolerance.workerHours * 100} % of worker-hours, ${tolerance.downSeconds} s; of the nearest prediction the workers differ by ${shown(Math.min(...predictions.map((each) => meanDifference(real, each))))} on average`,
    '',
    curveTable(real, predictions),
    '',
    'what the HPA was told at each look, real / simulated',
    '',
    looksTable(real, predictions[Math.floor(predictions.length / 2)]?.looks ?? []),
    '',
    `start of a worker: ${shown(medianOf(startUpSeconds))} s (median of ${startUpSeconds.length}); drain: ${shown(medianOf(drains))} s, at most ${shown(Math.max(...drains))} s (${drains.length})`,
    `from zero: the scaler told ${shown(real.wake.toldSeconds)} s after the first run was accepted, its first step began after ${shown(real.wake.begunSeconds)} s`,
    '',
  ].join('\n');
}

const rangeOf = (values: readonly number[]): [number, number] => [Math.min(...values), Math.max(...values)];
const rangeText = (least: number, most: number) =>
  shown(least) === shown(most) ? shown(least) : `${shown(least)}–${shown(most)}`;

const peakOf = ({ samples }: Curve, until: number) =>
  Math.max(...samples.filter(({ at }) => at <= until).map(({ replicas }) => replicas));

/** One sample a second. */
const podHours = ({ samples }: Curve, until: number) =>
  samples.filter(({ at }) => at <= until).reduce((sum, { replicas }) => sum + replicas, 0) / 3600;

/** When, after the peak, so many remain. */
function fallsTo(below: (peak: number) => number) {
  return ({ samples }: Curve): number => {
    const peak = Math.max(...samples.map(({ replicas }) => replicas));
    const top = samples.findLastIndex(({ replicas }) => replicas === peak);
    return samples.slice(top).find(({ replicas }) => replicas <= below(peak))?.at ?? Number.NaN;
  };
}

const nearest = ({ samples }: Curve, at: number) => samples.findLast((sample) => sample.at <= at);

function meanDifference(real: Curve, predicted: Curve): number {
  const differences = real.samples.map(({ at, replicas }) =>
    Math.abs(replicas - (nearest(predicted, at)?.replicas ?? 0)),
  );
  return differences.reduce((sum, each) => sum + each, 0) / differences.length;
}

function curveTable(real: RealOutcome, predictions: readonly Outcome[]): string {
  const rows = real.samples
    .filter((_, index) => index % hpaSyncSeconds === 0)
    .map(({ at, waiting, replicas }) => {
      const there = (figure: 'waiting' | 'replicas') =>
        rangeText(...rangeOf(predictions.map((each) => nearest(each, at)?.[figure] ?? 0)));
      return [shown(at), String(waiting), there('waiting'), String(replicas), there('replicas')];
    });
  return tableOf(['s', 'waiting', 'simulated', 'workers', 'simulated'], rows);
}

/** The inputs of each decision side by side: where the curves part, this says by what. */
function looksTable(real: RealOutcome, predicted: readonly Look[]): string {
  const rows = real.looks.map((look) => {
    const there = predicted.find(({ at }) => Math.abs(at - look.at) < hpaSyncSeconds / 2);
    const both = (figure: (look: Look) => number | null) =>
      `${shown(figure(look))} / ${there ? shown(figure(there)) : '–'}`;
    return [
      shown(look.at),
      shown(look.decidedSecondsAgo),
      both(({ active }) => active),
      both(({ waiting }) => waiting),
      both(({ arrivalPerSecond }) => arrivalPerSecond),
      both(({ serviceSeconds }) => serviceSeconds),
      both(({ replicas }) => replicas),
      both(({ set }) => set),
    ];
  });
  return tableOf(['s', 'decided ago', 'active', 'waiting', 'arrivals/s', 'service, s', 'workers', 'set'], rows);
}
