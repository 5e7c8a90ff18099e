import type { Arrival } from './arrivals.ts';
import { markEverySeconds } from '../deletion-cost.ts';
import type { Autoscaler, Sight } from './autoscalers.ts';
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
};

/** Seconds over which arrivals and service times are averaged, as the controller does. */
const windowSeconds = 20;
/** Over which the samples' waits are taken together. */
const smoothSeconds = 10;
const tick = 0.1;
/** At most so long is waited for the end of what arrived. */
const patience = 3 * 3600;

/** Replays a trace before one autoscaler. The same seed removes the same pods. */
export function simulate(
  arrivals: readonly Arrival[],
  autoscaler: Autoscaler,
  settings: PoolSettings,
  seed = 1,
): Outcome {
  const pool = createWorkerPool(settings, seeded(seed));
  pool.scaleTo(autoscaler.least, -settings.startUpSeconds);
  const lastArrival = arrivals.at(-1)?.at ?? 0;
  const samples: Sample[] = [];
  let [arrived, windowStart, serviceStart, sampledBegun] = [0, 0, 0, 0];
  let [podSeconds, peakWaiting, peakReplicas] = [0, 0, 0];
  let doneAt: number | null = null;
  let activeAt = -Infinity;

  function look(now: number): Sight {
    while ((arrivals[windowStart]?.at ?? Infinity) < now - windowSeconds) windowStart += 1;
    while ((pool.services[serviceStart]?.at ?? Infinity) < now - windowSeconds) serviceStart += 1;
    const services = pool.services.slice(serviceStart);
    return {
      ...pool.view(now),
      arrivalPerSecond: (arrived - windowStart) / windowSeconds,
      serviceSeconds: services.length > 0 ? mean(services.map(({ seconds }) => seconds)) : null,
    };
  }

  /** From zero to one and back, beside the HPA. */
  function activate(sight: Sight, now: number): void {
    const { activation } = autoscaler;
    if (activation === null) return;
    if (activation.isActive(sight)) activeAt = now;
    if (sight.replicas === 0 && activeAt === now) pool.scaleTo(1, now);
    if (autoscaler.least === 0 && sight.replicas > 0 && now - activeAt > activation.cooldownSeconds)
      pool.scaleTo(0, now);
  }

  const every = (seconds: number, step: number) => step % Math.max(1, Math.round(seconds / tick)) === 0;
  for (let step = 0; ; step++) {
    const now = step * tick;
    while ((arrivals[arrived]?.at ?? Infinity) <= now) pool.arrive(arrivals[arrived++] as Arrival);
    pool.advance(now);
    const view = pool.view(now);
    podSeconds += view.pods * tick;
    peakWaiting = Math.max(peakWaiting, view.waiting);
    peakReplicas = Math.max(peakReplicas, view.replicas);
    if (every(autoscaler.activation?.pollSeconds ?? Infinity, step)) activate(look(now), now);
    if (autoscaler.marksPods && every(markEverySeconds, step)) pool.mark();
    if (every(hpaSyncSeconds, step)) {
      const sight = look(now);
      if (sight.replicas > 0) pool.scaleTo(autoscaler.sync(sight, now), now);
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
  };
}

const waited = ({ waited }: Begun) => waited;
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const maxOf = (values: readonly number[]) => values.reduce((most, value) => Math.max(most, value), 0);

/** Nearest rank; 0 of nothing. */
function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? 0;
}
