import { createCheck, RunJob } from '@flowstate/contracts';
import { UnrecoverableError, Worker, type Job } from 'bullmq';
import { queuePrefix } from './run-queues.ts';

const checkJob = createCheck(RunJob, { root: 'job' });

/** What the dashboard shows of a delivery; the run's own fate stands in the ledger. */
export type DeliveryResult = { ok: true; note: string } | { ok: false; message: string };

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

  const worker = new Worker<unknown, string>(queue, process, {
    prefix: queuePrefix,
    concurrency,
    // The queue must never judge a run: a job whose lock was lost is delivered again, and the claim decides.
    maxStalledCount: 1_000_000,
    // A group commit ends many runs in one event-loop turn: their jobs are ended by one write to the socket.
    connection: { url: redisUrl, maxRetriesPerRequest: null, enableAutoPipelining: true },
  });
  worker.on('error', onError);
  return { close: () => worker.close() };
}

function readJob(data: unknown): RunJob {
  try {
    return checkJob(data);
  } catch (error) {
    throw new UnrecoverableError((error as Error).message);
  }
}
