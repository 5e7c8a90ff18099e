import { queueNames } from '@flowstate/contracts';
import type { RunQueues } from '@flowstate/queue';
import { takeDueRuns, wakeDueRuns, type Sql } from '@flowstate/store';

type Options = { sql: Sql; queues: RunQueues; onFed: (runs: number) => void };

/** Jobs of one queue in Redis at most; the rest waits in the ledger. */
const windowSize = 1_000;
const batch = 500;

/** Hands due runs to the queue, and wakes those whose timer has gone off. Answers true while there may be more. */
export function createFeeder({ sql, queues, onFed }: Options) {
  return async function feed(): Promise<boolean> {
    let more = (await wakeDueRuns(sql, batch)) === batch;
    for (const queue of queueNames) {
      const { waiting, prioritized } = await queues.counts(queue);
      const room = Math.min(batch, windowSize - waiting - prioritized);
      if (room <= 0) continue;
      const runs = await takeDueRuns(sql, { queue, limit: room });
      if (runs.length === 0) continue;
      await queues.deliver(runs);
      onFed(runs.length);
      more ||= runs.length === batch;
    }
    return more;
  };
}
