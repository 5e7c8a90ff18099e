const windowMs = 60_000;
/** When nothing has given its place back of late, the last figure holds so long. */
const keepMs = 3_600_000;

type Stay = { at: number; stays: number; seconds: number };

/** What one worker says: how often runs gave their place back since it started, and how long they had held it in sum. */
export type WorkerServed<Queue extends string> = {
  id: number;
  served: { [queue in Queue]?: { stays: number; seconds: number } };
};

export type ServiceTimes<Queue extends string> = {
  /** Takes in what the live workers say they have served so far. */
  observe(workers: readonly WorkerServed<Queue>[]): void;
  /** Seconds a run holds a place of a worker, on average; null: nobody knows. */
  of(queue: Queue): number | null;
  /** Places given back over the last minute. */
  stays(queue: Queue): number;
};

/**
 * How long runs hold a place, from the workers' own counts, which they keep by a clock that never jumps. Each stay
 * counts for itself: what a run waits for, suspended, holds nobody's place. Long stays are counted when they end, so
 * that the figure is rather too small than too large while many long runs have just begun.
 * `known`: what another controller had found out, for the time until this one has.
 */
export function createServiceTimes<Queue extends string>(
  queues: readonly Queue[],
  known: ReadonlyMap<Queue, number | null>,
  now: () => number = () => performance.now(),
): ServiceTimes<Queue> {
  const last = new Map<number, WorkerServed<Queue>['served']>();
  const windows = Object.fromEntries(queues.map((queue) => [queue, [] as Stay[]])) as Record<Queue, Stay[]>;
  const kept = new Map(
    [...known].flatMap(([queue, seconds]) => (seconds === null ? [] : [[queue, { seconds, at: now() }]])),
  );

  function observe(workers: readonly WorkerServed<Queue>[]): void {
    const at = now();
    for (const { id, served } of workers) {
      const before = last.get(id);
      last.set(id, served);
      // What it served before it was first seen may be long ago.
      if (before === undefined) continue;
      for (const queue of queues) {
        const stays = (served[queue]?.stays ?? 0) - (before[queue]?.stays ?? 0);
        const seconds = (served[queue]?.seconds ?? 0) - (before[queue]?.seconds ?? 0);
        if (stays > 0) windows[queue].push({ at, stays, seconds });
      }
    }
    const alive = new Set(workers.map(({ id }) => id));
    for (const id of last.keys()) if (!alive.has(id)) last.delete(id);
    for (const queue of queues) {
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
