import type { RunQueues } from '@flowstate/queue';
import type { Logger } from '@flowstate/runtime';
import { resumePausedRuns, type Sql } from '@flowstate/store';

const batch = 200;

/** Has runs go on that waited for a budget in which there is room again. */
export function createBudgetResumer({
  sql,
  queues,
  log,
}: {
  sql: Sql;
  queues: Pick<RunQueues, 'deliver'>;
  log: Logger;
}): () => Promise<void> {
  return async function resume(): Promise<void> {
    const deliveries = await resumePausedRuns(sql, batch);
    if (deliveries.length === 0) return;
    log.info({ runs: deliveries.length }, 'a budget has room again');
    await queues.deliver(deliveries);
  };
}
