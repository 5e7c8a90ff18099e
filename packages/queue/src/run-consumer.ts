import { once } from 'node:events';
import { createCheck, RunJob } from '@flowstate/contracts';
import { UnrecoverableError, Worker, type Job } from 'bullmq';
import type { Redis } from 'ioredis';
import { openRedis } from './open-redis.ts';
import { queuePrefix } from './run-queues.ts';

const checkJob = createCheck(RunJob, { root: 'job' });

/** What the dashboard shows of a delivery; the run's own fate stands in the ledger. */
export type DeliveryResult = { ok: true; note: string } | { ok: false; message: string };

/** Milliseconds that a worker which is to stop waits for Redis. */
const patienceMs = 5_000;

type Options = {
  redisUrl: string;
  /** BullMQ's name of one lane of a queue (`laneQueue`). */
  queue: string;
  /** Runs in hand at most. */
  concurrency: number;
  handle: (job: RunJob) => Promise<DeliveryResult>;
  onError: (error: Error) => void;
};

export type RunConsumer = {
  /** Takes no more jobs and waits for those in hand. */
  close(): Promise<void>;
};

/** Consumer side of one lane: takes jobs, checks their payload, hands the run id on. */
export function createRunConsumer({ redisUrl, queue, concurrency, handle, onError }: Options): RunConsumer {
  async function process(job: Job<unknown, string>): Promise<string> {
    const result = await handle(readJob(job.data));
    // A failed run is a failed job on the dashboard. It is never tried again by the queue.
    if (!result.ok) throw new UnrecoverableError(result.message);
    return result.note;
  }

  const { connection, connections } = connect(redisUrl);
  const worker = new Worker<unknown, string>(queue, process, {
    prefix: queuePrefix,
    concurrency,
    // The queue must never judge a run: a job whose lock was lost is delivered again, and the claim decides.
    maxStalledCount: 1_000_000,
    // Said here and not by each job, which would carry it through Redis and back.
    removeOnComplete: { age: 24 * 3600, count: 1000 },
    removeOnFail: { age: 7 * 24 * 3600, count: 5000 },
    connection,
  });
  worker.on('error', onError);
  return {
    async close() {
      // BullMQ ends its blocking connection and waits for its end, which never comes while that one reconnects. With
      // Redis away there is nobody to tell of jobs; their runs are the ledger's.
      const force = !(await allReady(connections));
      const over = new AbortController();
      const closed = worker.close(force).finally(() => over.abort());
      await Promise.race([closed, awayForGood(connections, over.signal)]);
      for (const each of connections) each.disconnect();
    },
  };
}

/** A connection for BullMQ, and all those it makes of it. */
function connect(redisUrl: string): { connection: Redis; connections: readonly Redis[] } {
  const connection = openRedis(redisUrl, { maxRetriesPerRequest: null });
  const connections = [connection];
  const duplicate = connection.duplicate.bind(connection);
  // A cluster's takes more than one.
  connection.duplicate = (...overrides: Parameters<typeof duplicate>) => {
    const copy = duplicate(...overrides);
    connections.push(copy);
    return copy;
  };
  return { connection, connections };
}

/** Resolves when one of them went away and did not come back. A cluster may notice only now that its nodes are. */
async function awayForGood(connections: readonly Redis[], signal: AbortSignal): Promise<void> {
  do await Promise.race(connections.map((connection) => once(connection, 'close', { signal })));
  while (await allReady(connections));
}

/** Are they all connected, or will be in a moment? */
async function allReady(connections: readonly Redis[]): Promise<boolean> {
  const away = connections.filter(({ status }) => status !== 'ready');
  if (away.length === 0) return true;
  const signal = AbortSignal.timeout(patienceMs);
  try {
    await Promise.all(away.map((connection) => once(connection, 'ready', { signal })));
    return true;
  } catch {
    return false;
  }
}

function readJob(data: unknown): RunJob {
  try {
    return checkJob(data);
  } catch (error) {
    throw new UnrecoverableError((error as Error).message);
  }
}
