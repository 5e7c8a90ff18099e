import type { QueueName } from '@flowstate/contracts';
import type { Db } from '../client.ts';

/** What an operator wants of a queue, and what the feeder last published about it. */
export type QueueState = {
  queue: QueueName;
  paused: boolean;
  /** Nothing stands in the ledger's line: a gateway may hand a new run to the queue itself. */
  open: boolean;
  /** Jobs that may wait in Redis at most. */
  size: number;
  /** Number of the round the feeder is in; jobs of earlier rounds are served first. */
  round: number;
  /** Did the feeder publish in the last seconds? */
  fed: boolean;
};

/** Without a word from the feeder for this long there is none. */
const feederGoneAfter = '3 seconds';

export async function readQueueStates(db: Db): Promise<QueueState[]> {
  return db<QueueState[]>`
    SELECT queue, paused, open, size, round, published_at > now() - ${feederGoneAfter}::interval AS fed
    FROM queue_states ORDER BY queue DESC`;
}

/** The feeder says how a queue's window stands. */
export async function publishQueueState(
  db: Db,
  { queue, open, size, round }: Pick<QueueState, 'queue' | 'open' | 'size' | 'round'>,
): Promise<void> {
  await db`
    UPDATE queue_states SET open = ${open}, size = ${size}, round = ${round}, published_at = now()
    WHERE queue = ${queue}`;
}

/** Pauses or resumes a queue until somebody says otherwise. */
export async function setQueuePaused(db: Db, queue: QueueName, paused: boolean): Promise<void> {
  await db`UPDATE queue_states SET paused = ${paused} WHERE queue = ${queue}`;
}
