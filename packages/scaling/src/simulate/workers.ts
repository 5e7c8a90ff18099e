import { deletionCost } from '../deletion-cost.ts';
import type { Arrival } from './arrivals.ts';
import type { Random } from './random.ts';

export type PoolSettings = {
  /** Places of one worker. */
  concurrency: number;
  /** Until a pod that was asked for serves. */
  startUpSeconds: number;
  /** The same of the first ones, in the order they are asked for, where it is known: many at once take longer than one. */
  startUps?: readonly number[];
  /** A run's step: at its end a draining worker hands the run back. */
  stepSeconds: number;
};

type Job = { arrivedAt: number; left: number; begun: boolean };
type Held = Job & { since: number; until: number };
type Pod = {
  id: number;
  readyAt: number;
  draining: boolean;
  held: Set<Held>;
  cost: number;
  /** How often a run gave its place back, and how long all of them had held it. */
  stays: number;
  seconds: number;
};

export type Begun = { at: number; waited: number };

/** Pods with places, and the line before them. Time only goes on by `advance`. */
export function createWorkerPool(
  { concurrency, startUpSeconds, startUps = [], stepSeconds }: PoolSettings,
  random: Random,
) {
  /** Those handed back go first: they have waited already. */
  const returned: Job[] = [];
  let line: Job[] = [];
  let head = 0;
  const pods = new Set<Pod>();
  const begun: Begun[] = [];
  let [handedBack, asked] = [0, 0];

  const waiting = () => returned.length + line.length - head;

  function next(): Job | undefined {
    const job = returned.shift() ?? line[head];
    if (job !== undefined && job === line[head]) head += 1;
    if (head > 10_000) {
      line = line.slice(head);
      head = 0;
    }
    return job;
  }

  function fill(pod: Pod, now: number): void {
    if (pod.draining || pod.readyAt > now) return;
    while (pod.held.size < concurrency) {
      const job = next();
      if (job === undefined) return;
      if (!job.begun) begun.push({ at: now, waited: now - job.arrivedAt });
      pod.held.add({ ...job, begun: true, since: now, until: now + job.left });
    }
  }

  /** Where one of the cheapest stands. */
  function cheapest(among: readonly Pod[]): number {
    const least = Math.min(...among.map(({ cost }) => cost));
    const equal = among.flatMap(({ cost }, index) => (cost === least ? [index] : []));
    return equal[Math.floor(random() * equal.length)] ?? 0;
  }

  return {
    arrive({ at, serviceSeconds }: Arrival): void {
      line.push({ arrivedAt: at, left: serviceSeconds, begun: false });
    },

    /** Ends what is over by `now` and lets what waits begin. */
    advance(now: number): void {
      for (const pod of pods) {
        for (const held of pod.held) {
          if (held.until > now) continue;
          pod.held.delete(held);
          const rest = held.left - (held.until - held.since);
          pod.stays += 1;
          pod.seconds += held.until - held.since;
          if (rest > 1e-9) {
            returned.push({ arrivedAt: held.arrivedAt, left: rest, begun: true });
            handedBack += 1;
          }
        }
        if (pod.draining && pod.held.size === 0) pods.delete(pod);
      }
      for (const pod of pods) fill(pod, now);
    },

    /** Tells the ReplicaSet what each pod has in hand right now. */
    mark(): void {
      for (const pod of pods) pod.cost = deletionCost(pod.held.size);
    },

    /** Asks for so many pods. Starting ones leave first, as a ReplicaSet does, then the cheapest; of equal ones any. */
    scaleTo(wanted: number, now: number): void {
      const staying = [...pods].filter(({ draining }) => !draining);
      for (let more = wanted - staying.length; more > 0; more--) {
        const id = asked++;
        const readyAt = now + (startUps[id] ?? startUpSeconds);
        pods.add({ id, readyAt, draining: false, held: new Set(), cost: 0, stays: 0, seconds: 0 });
      }
      for (let fewer = staying.length - wanted; fewer > 0; fewer--) {
        const starting = staying.findIndex(({ readyAt }) => readyAt > now);
        const [pod] = staying.splice(starting >= 0 ? starting : cheapest(staying), 1);
        if (pod === undefined) return;
        pod.draining = true;
        for (const held of pod.held) {
          const stepEnd = held.since + Math.ceil((now - held.since) / stepSeconds) * stepSeconds;
          held.until = Math.min(held.until, stepEnd);
        }
      }
    },

    /** What a metric or an autoscaler may see. */
    view(now: number) {
      const all = [...pods];
      const serving = all.filter(({ draining, readyAt }) => !draining && readyAt <= now);
      return {
        waiting: waiting(),
        active: all.reduce((sum, { held }) => sum + held.size, 0),
        /** Asked for and not being removed. */
        replicas: all.filter(({ draining }) => !draining).length,
        /** Everything that is paid for. */
        pods: all.length,
        ready: serving.length,
        busyPlaces: serving.reduce((sum, { held }) => sum + held.size, 0),
      };
    },

    /** What those that live say they have served so far. */
    served: (now: number) =>
      [...pods].filter(({ readyAt }) => readyAt <= now).map(({ id, stays, seconds }) => ({ id, stays, seconds })),

    begun,
    handedBack: () => handedBack,
    idle: () => waiting() === 0 && [...pods].every(({ held }) => held.size === 0),
  };
}

export type WorkerPool = ReturnType<typeof createWorkerPool>;
export type PoolView = ReturnType<WorkerPool['view']>;
