import type { Demand } from '../desired-workers.ts';
import { createServiceTimes } from '../service-times.ts';
import type { Arrival } from './arrivals.ts';
import type { WorkerPool } from './workers.ts';

/** What the leading controller counted last, for the decision. */
export type Counted = Pick<Demand, 'active' | 'waiting' | 'arrivalPerSecond' | 'serviceSeconds'>;

/** It counts and decides so often: whoever asks is told what was so half as long ago, on average. */
export const decideEverySeconds = 1;

/** Over which arrivals are averaged. */
const windowSeconds = 20;
const queue = 'workflows';

/** Knows no more than the real one does: what was accepted of late, what is in hand, what workers say they have served. */
export function createSimulatedController(pool: Pick<WorkerPool, 'view' | 'served'>) {
  let clock = 0;
  let windowStart = 0;
  const times = createServiceTimes([queue], new Map(), () => clock * 1000);

  return {
    /** Counts at `now`, when the first `arrived` of the arrivals have come. */
    count(now: number, arrivals: readonly Arrival[], arrived: number): Counted {
      clock = now;
      while ((arrivals[windowStart]?.at ?? Infinity) <= now - windowSeconds) windowStart += 1;
      times.observe(pool.served(now).map(({ id, ...own }) => ({ id, served: { [queue]: own } })));
      const { active, waiting } = pool.view(now);
      return {
        active,
        waiting,
        arrivalPerSecond: (arrived - windowStart) / windowSeconds,
        serviceSeconds: times.of(queue),
      };
    },
  };
}
