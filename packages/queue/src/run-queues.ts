import {
  jobIdOf,
  laneQueue,
  queueNames,
  type Delivery,
  type Lane,
  type QueueName,
  type RunJob,
} from '@flowstate/contracts';
import { inSpan } from '@flowstate/tracing';
import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { openRedis } from './open-redis.ts';

/** All keys carry this hash tag: one slot, which is what Redis Cluster needs. */
export const queuePrefix = '{flowstate}';

export type RunQueue = Queue<RunJob, string>;

export type JobCounts = Record<'waiting' | 'prioritized' | 'active' | 'delayed' | 'completed' | 'failed', number>;

/** Where deliveries go: the ledger's view of who carries what. */
export type Lanes = {
  /** Null: nobody can run it now, it stays in the ledger. */
  laneOf: (delivery: Delivery) => Lane | null;
  /** Lanes of their own that some workers have. */
  bundles: () => string[];
};

/** Everything to every worker, for who knows of none. */
export const commonLane: Lanes = { laneOf: () => 'common', bundles: () => [] };

export type RunQueues = {
  /** The common lanes. */
  queues: Record<QueueName, RunQueue>;
  /**
   * Adds one job per delivery; rejects at once when Redis is away, within seconds when it hangs (the ledger keeps the
   * run). Jobs of an earlier round are served first, within a round by priority; without a round they go before all:
   * runs that have begun go on.
   */
  deliver(deliveries: readonly Delivery[], round?: number): Promise<void>;
  /**
   * What became of each delivery's job: `pending` will still reach a worker, `missing` never arrived or was flushed,
   * `spent` is done with as far as the queue is concerned, so that its id cannot be used again.
   */
  inspect(deliveries: readonly Delivery[]): Promise<('pending' | 'missing' | 'spent')[]>;
  /** Takes a waiting job out; one that a worker holds stays. */
  withdraw(delivery: Delivery): Promise<void>;
  /** Jobs that no worker has taken yet. Suspects, which run one at a time in a lane of their own, do not count. */
  waiting(queue: QueueName): Promise<number>;
  /** Of all lanes together. */
  counts(queue: QueueName): Promise<JobCounts>;
  /** Makes workers stop taking its jobs, or go on. Redis may forget it: whoever wants it says it again. */
  setPaused(queue: QueueName, paused: boolean): Promise<void>;
  /** Can jobs be added right now? */
  ready(): boolean;
  close(): Promise<void>;
};

/** Producer side of the queues. Payloads are run ids; the ledger decides whether a delivery runs. */
export function createRunQueues(redisUrl: string, lanes: Lanes, onError: (error: Error) => void): RunQueues {
  const redis = openRedis(redisUrl, {
    // Without these `add` would hang for as long as Redis is away.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    // A server that hangs keeps its connections and answers nothing; what it was asked may still happen.
    commandTimeout: 2000,
    retryStrategy: (times) => Math.min(50 * 2 ** times, 2000),
  });
  redis.on('error', onError);
  const open = new Map<string, RunQueue>();
  const queues = Object.fromEntries(queueNames.map((name) => [name, queueOf(name)])) as Record<QueueName, RunQueue>;

  function queueOf(name: string): RunQueue {
    let queue = open.get(name);
    if (queue === undefined) open.set(name, (queue = openQueue(redis, name, onError)));
    return queue;
  }

  /** What is delivered side by side, as by a group commit, goes to Redis in one round trip. */
  let batch: { deliveries: Placed[]; done: Promise<void> } | undefined;
  /** The last batch: Redis answers in order, so what came before it is done with it. */
  let adding: Promise<void> = Promise.resolve();

  async function addBatch(): Promise<void> {
    const { deliveries } = batch ?? { deliveries: [] };
    batch = undefined;
    const byQueue = Map.groupBy(deliveries, (delivery) => {
      const lane = lanes.laneOf(delivery);
      return lane === null ? null : laneQueue(delivery.queue, lane);
    });
    const added = [...byQueue].flatMap(([name, own]) => {
      if (name === null) return [];
      const queue = queueOf(name);
      // Not `addBulk`: they leave by one write anyhow (`openRedis`), and its pipeline costs more than they do.
      return own.map(toJob).map(({ name, data, opts }) => queue.add(name, data, opts));
    });
    await Promise.all(added);
  }

  const allLanes = (): Lane[] => ['common', 'suspects', ...lanes.bundles().map((bundle) => ({ bundle }))];

  return {
    queues,
    deliver(deliveries, round) {
      if (batch === undefined) {
        adding = Promise.resolve().then(addBatch);
        batch = { deliveries: [], done: adding };
      }
      batch.deliveries.push(...deliveries.map((delivery) => ({ ...delivery, round })));
      const { done } = batch;
      const [first] = deliveries;
      if (first === undefined) return done;
      const attributes = {
        'messaging.system': 'bullmq',
        'messaging.operation.type': 'send',
        'messaging.destination.name': first.queue,
        'messaging.batch.message_count': deliveries.length,
      };
      return inSpan(`send ${first.queue}`, { kind: 'PRODUCER', attributes }, () => done);
    },
    inspect(deliveries) {
      return Promise.all(
        deliveries.map(async (delivery) => {
          const lane = lanes.laneOf(delivery);
          if (lane === null) return 'missing';
          const state = await queueOf(laneQueue(delivery.queue, lane)).getJobState(idOf(delivery));
          if (state === 'unknown') return 'missing';
          return state === 'completed' || state === 'failed' ? 'spent' : 'pending';
        }),
      );
    },
    async withdraw(delivery) {
      const lane = lanes.laneOf(delivery);
      if (lane !== null) await queueOf(laneQueue(delivery.queue, lane)).remove(idOf(delivery));
    },
    async waiting(name) {
      const lanes = allLanes().filter((lane) => lane !== 'suspects');
      const counts = await Promise.all(
        lanes.map((lane) => queueOf(laneQueue(name, lane)).getJobCountByTypes('waiting', 'prioritized')),
      );
      return counts.reduce((sum, count) => sum + count, 0);
    },
    async setPaused(name, paused) {
      for (const lane of allLanes()) {
        const queue = queueOf(laneQueue(name, lane));
        if ((await queue.isPaused()) !== paused) await (paused ? queue.pause() : queue.resume());
      }
    },
    async counts(name) {
      const states = ['waiting', 'prioritized', 'active', 'delayed', 'completed', 'failed'] as const;
      const counts = await Promise.all(
        allLanes().map((lane) => queueOf(laneQueue(name, lane)).getJobCounts(...states) as Promise<JobCounts>),
      );
      return Object.fromEntries(
        states.map((state) => [state, counts.reduce((sum, count) => sum + (count[state] ?? 0), 0)]),
      ) as JobCounts;
    },
    ready: () => redis.status === 'ready',
    async close() {
      await adding.catch(() => {});
      await Promise.allSettled([...open.values()].map((queue) => queue.close()));
      redis.disconnect();
    },
  };
}

const idOf = ({ runId, dispatch }: Delivery) => jobIdOf(runId, dispatch);

type Placed = Delivery & { round: number | undefined };

const priorities = 10;
/** Rounds that BullMQ's range of priorities (2²¹) has room for. */
export const rounds = Math.floor(2 ** 21 / priorities) - 1;

/** BullMQ serves the lowest number first, and what has none (0) before all others. */
function toJob(delivery: Placed) {
  const { runId, priority, round } = delivery;
  const place = round === undefined ? 0 : 1 + round * priorities + priority;
  return { name: 'run', data: { runId }, opts: { jobId: idOf(delivery), priority: place } };
}

function openQueue(connection: Redis, name: string, onError: (error: Error) => void): RunQueue {
  const queue: RunQueue = new Queue(name, {
    prefix: queuePrefix,
    skipWaitingForReady: true,
    // Asks the server at once, and would give up for good were it not connected yet. Workers check the version.
    skipVersionCheck: true,
    connection,
  });
  queue.on('error', onError);
  return queue;
}
