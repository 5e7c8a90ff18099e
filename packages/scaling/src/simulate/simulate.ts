import type { Arrival } from './arrivals.ts';
import { markEverySeconds } from '../deletion-cost.ts';
import type { Autoscaler, Sight } from './autoscalers.ts';
import { createSimulatedController, decideEverySeconds, type Counted } from './controller.ts';
import { hpaSyncSeconds } from './hpa.ts';
import { seeded } from './random.ts';
import { createWorkerPool, type Begun, type PoolSettings } from './workers.ts';

export type Sample = {
  at: number;
  waiting: number;
  replicas: number;
  /** Of the runs that began of late, in seconds. */ p95Wait: number;
};

export type Outcome = {
  name: string;
  runs: number;
  /** Seconds from being accepted to being begun. */
  wait: { p50: number; p95: number; max: number };
  peakWaiting: number;
  peakReplicas: number;
  workerHours: number;
  /** Times a run was handed back by a worker that left. */
  handedBack: number;
  /** Seconds after the last arrival until everything was done; null: it was not within the time looked at. */
  doneAfter: number | null;
  samples: Sample[];
  /** What its HPA saw each time it looked, and what it set. */
  looks: Look[];
};

/** One look of the HPA: what the controller had counted, the replicas there were, and what was set. */
export type Look = Counted & { at: number; replicas: number; set: number };

/** Over which the samples' waits are taken together. */
const smoothSeconds = 10;
const tick = 0.1;
const every = (seconds: number, step: number) => step % Math.round(seconds / tick) === 0;
/** At most so long is waited for the end of what arrived. */
const patience = 3 * 3600;

/**
 * Replays a trace before one autoscaler. The same seed removes the same pods. `decidedSecondsAgo`: how old what the HPA
 * is told is at its looks; half of what it can be at most, if nothing else is said.
 */
export function simulate(
  arrivals: readonly Arrival[],
  autoscaler: Autoscaler,
  settings: PoolSettings,
  { seed = 1, decidedSecondsAgo = decideEverySeconds / 2 }: { seed?: number; decidedSecondsAgo?: number } = {},
): Outcome {
  const pool = createWorkerPool(settings, seeded(seed));
  pool.scaleTo(autoscaler.least, -settings.startUpSeconds);
  const lastArrival = arrivals.at(-1)?.at ?? 0;
  const samples: Sample[] = [];
  const looks: Look[] = [];
  let [arrived, sampledBegun] = [0, 0];
  let [podSeconds, peakWaiting, peakReplicas] = [0, 0, 0];
  let doneAt: number | null = null;
  let activeAt = -Infinity;
  const controller = createSimulatedController(pool);
  let counted: Counted = { active: 0, waiting: 0, arrivalPerSecond: 0, serviceSeconds: null };

  /** From zero to one and back, beside the HPA. */
  function activate(step: number, now: number, sight: Sight): void {
    const { activation, least } = autoscaler;
    if (activation === null) return;
    const looks = every(activation.pollSeconds, step);
    const active = looks && activation.isActive(sight);
    if (active || (sight.replicas === 0 && activation.pushes?.(sight) === true)) {
      activeAt = now;
      if (sight.replicas === 0) pool.scaleTo(1, now);
    } else if (looks && least === 0 && sight.replicas > 0 && now - activeAt > activation.cooldownSeconds) {
      pool.scaleTo(0, now);
    }
  }

  for (let step = 0; ; step++) {
    const now = step * tick;
    while ((arrivals[arrived]?.at ?? Infinity) <= now) pool.arrive(arrivals[arrived++] as Arrival);
    pool.advance(now);
    const view = pool.view(now);
    podSeconds += view.pods * tick;
    peakWaiting = Math.max(peakWaiting, view.waiting);
    peakReplicas = Math.max(peakReplicas, view.replicas);
    if (every(decideEverySeconds, step + Math.round(decidedSecondsAgo / tick))) {
      counted = controller.count(now, arrivals, arrived);
    }
    activate(step, now, { ...view, counted });
    if (autoscaler.marksPods && every(markEverySeconds, step)) pool.mark();
    if (every(hpaSyncSeconds, step)) {
      const sight = { ...pool.view(now), counted };
      if (sight.replicas > 0) {
        const set = autoscaler.sync(sight, now);
        pool.scaleTo(set, now);
        looks.push({ ...counted, at: now, replicas: sight.replicas, set });
      }
    }
    if (every(1, step)) {
      const { waiting, replicas } = pool.view(now);
      while ((pool.begun[sampledBegun]?.at ?? Infinity) < now - smoothSeconds) sampledBegun += 1;
      const recent = pool.begun.slice(sampledBegun);
      samples.push({ at: now, waiting, replicas, p95Wait: quantile(recent.map(waited), 0.95) });
    }
    if (arrived === arrivals.length && doneAt === null && pool.idle()) doneAt = now;
    // Until it would be at rest again: what it keeps running meanwhile is paid for too.
    if (doneAt !== null && now >= Math.max(doneAt, lastArrival) + 900) break;
    if (now > lastArrival + patience) break;
  }

  const waits = pool.begun.map(waited);
  return {
    name: autoscaler.name,
    runs: arrivals.length,
    wait: { p50: quantile(waits, 0.5), p95: quantile(waits, 0.95), max: maxOf(waits) },
    peakWaiting,
    peakReplicas,
    workerHours: podSeconds / 3600,
    handedBack: pool.handedBack(),
    doneAfter: doneAt === null ? null : Math.max(0, doneAt - lastArrival),
    samples,
    looks,
  };
}

const waited = ({ waited }: Begun) => waited;
const maxOf = (values: readonly number[]) => values.reduce((most, value) => Math.max(most, value), 0);

/** Nearest rank; 0 of nothing. */
function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? 0;
}
