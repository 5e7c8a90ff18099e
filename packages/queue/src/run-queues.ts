import { jobIdOf, queueNames, type QueueName, type RunJob } from '@flowstate/contracts';
import { Queue } from 'bullmq';

/** All keys carry this hash tag: one slot, which is what Redis Cluster needs. */
export const queuePrefix = '{flowstate}';

export type RunQueue = Queue<RunJob, string>;

/** Which run to hand to a worker, and the how-manieth delivery this is. */
export type Delivery = { runId: string; queue: string; priority: number; dispatch: number };

export type JobCounts = Record<'waiting' | 'prioritized' | 'active' | 'delayed' | 'completed' | 'failed', number>;

export type RunQueues = {
  queues: Record<QueueName, RunQueue>;
  /** Adds one job per delivery; rejects at once when Redis is away (the ledger keeps the run). */
  deliver(deliveries: readonly Delivery[]): Promise<void>;
  /**
   * What became of each delivery's job: `pending` will still reach a worker, `missing` never arrived or was flushed,
   * `spent` is done with as far as the queue is concerned, so that its id cannot be used again.
   */
  inspect(deliveries: readonly Delivery[]): Promise<('pending' | 'missing' | 'spent')[]>;
  /** Takes a waiting job out; one that a worker holds stays. */
  withdraw(delivery: Delivery): Promise<void>;
  counts(queue: QueueName): Promise<JobCounts>;
  close(): Promise<void>;
};

/** Producer side of the queues. Payloads are run ids; the ledger decides whether a delivery runs. */
export function createRunQueues(redisUrl: string, onError: (error: Error) => void): RunQueues {
  const queues = Object.fromEntries(
    queueNames.map((name) => {
      const queue: RunQueue = new Queue(name, {
        prefix: queuePrefix,
        // Without these two `add` would hang for as long as Redis is away.
        skipWaitingForReady: true,
        // Asks the server at once, and would give up for good were it not connected yet. Workers check the version.
        skipVersionCheck: true,
        connection: {
          url: redisUrl,
          enableOfflineQueue: false,
          retryStrategy: (times) => Math.min(50 * 2 ** times, 2000),
        },
        defaultJobOptions: {
          attempts: 1, // retries are the ledger's
          removeOnComplete: { age: 24 * 3600, count: 1000 },
          removeOnFail: { age: 7 * 24 * 3600, count: 5000 },
        },
      });
      queue.on('error', onError);
      return [name, queue];
    }),
  ) as Record<QueueName, RunQueue>;

  const queueOf = (delivery: Delivery) => queues[delivery.queue as QueueName];
  const idOf = (delivery: Delivery) => jobIdOf(delivery.runId, delivery.dispatch);

  return {
    queues,
    async deliver(deliveries) {
      for (const name of queueNames) {
        const own = deliveries.filter((delivery) => delivery.queue === name);
        if (own.length === 0) continue;
        await queues[name].addBulk(
          own.map((delivery) => ({
            name: 'run',
            data: { runId: delivery.runId },
            opts: { jobId: idOf(delivery), priority: delivery.priority },
          })),
        );
      }
    },
    inspect(deliveries) {
      return Promise.all(
        deliveries.map(async (delivery) => {
          const state = await queueOf(delivery).getJobState(idOf(delivery));
          if (state === 'unknown') return 'missing';
          return state === 'completed' || state === 'failed' ? 'spent' : 'pending';
        }),
      );
    },
    async withdraw(delivery) {
      await queueOf(delivery).remove(idOf(delivery));
    },
    async counts(name) {
      const states = ['waiting', 'prioritized', 'active', 'delayed', 'completed', 'failed'] as const;
      return (await queues[name].getJobCounts(...states)) as JobCounts;
    },
    async close() {
      await Promise.all(Object.values(queues).map(closeQueue));
    },
  };
}

/** Says goodbye to Redis; while Redis is away that fails, and the connection would go on trying to come back. */
async function closeQueue(queue: RunQueue): Promise<void> {
  await queue.close().catch(async () => (await queue.getBackend().client).disconnect());
}
