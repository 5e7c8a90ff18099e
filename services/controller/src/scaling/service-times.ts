import { queueNames, type QueueName } from '@flowstate/contracts';
import type { StoredWorker } from '@flowstate/store';

const windowMs = 60_000;
/** When nothing has given its place back of late, the last figure holds so long. */
const keepMs = 3_600_000;

type Stay = { at: number; stays: number; seconds: number };

export type ServiceTimes = {
  /** Takes in what the live workers say they have served so far. */
  observe(workers: readonly Pick<StoredWorker, 'id' | 'served'>[]): void;
  /** Seconds a run holds a place of a worker, on average; null: nobody knows. */
  of(queue: QueueName): number | null;
  /** Places given back over the last minute. */
  stays(queue: QueueName): number;
};

/**
 * How long runs hold a place, from the workers' own counts, which they keep by a clock that never jumps. Each stay
 * counts for itself: what a run waits for, suspended, holds nobody's place. Long stays are counted when they end, so
 * that the figure is rather too small than too large while many long runs have just begun.
 * `known`: what another controller had found out, for the time until this one has.
 */
export function createServiceTimes(
  known: ReadonlyMap<QueueName, number | null>,
  now: () => number = () => performance.now(),
): ServiceTimes {
  const last = new Map<number, StoredWorker['served']>();
  const windows = Object.fromEntries(queueNames.map((queue) => [queue, [] as Stay[]])) as Record<QueueName, Stay[]>;
  const kept = new Map(
    [...known].flatMap(([queue, seconds]) => (seconds === null ? [] : [[queue, { seconds, at: now() }]])),
  );

  function observe(workers: Parameters<ServiceTimes['observe']>[0]): void {
    const at = now();
    for (const { id, served } of workers) {
      const before = last.get(id);
      last.set(id, served);
      // What it served before it was first seen may be long ago.
      if (before === undefined) continue;
      for (const queue of queueNames) {
        const stays = (served[queue]?.stays ?? 0) - (before[queue]?.stays ?? 0);
        const seconds = (served[queue]?.seconds ?? 0) - (before[queue]?.seconds ?? 0);
        if (stays > 0) windows[queue].push({ at, stays, seconds });
      }
    }
    const alive = new Set(workers.map(({ id }) => id));
    for (const id of last.keys()) if (!alive.has(id)) last.delete(id);
    for (const queue of queueNames) {
      windows[queue] = windows[queue].filter((stay) => stay.at > at - windowMs);
      const stays = windows[queue].reduce((sum, stay) => sum + stay.stays, 0);
      const seconds = windows[queue].reduce((sum, stay) => sum + stay.seconds, 0);
      if (stays > 0) kept.set(queue, { seconds: seconds / stays, at });
    }
  }

  return {
    observe,
    stays: (queue) => windows[queue].reduce((sum, { stays }) => sum + stays, 0),
    of(queue) {
      const figure = kept.get(queue);
      return figure === undefined || figure.at < now() - keepMs ? null : figure.seconds;
    },
  };
}
