import { announceEnds, type PublishNews, type RunQueues } from '@flowstate/queue';
import type { Logger } from '@flowstate/runtime';
import { cancelExpiredRuns, type Sql } from '@flowstate/store';

type Options = {
  sql: Sql;
  queues: Pick<RunQueues, 'withdraw' | 'deliver'>;
  publish: PublishNews;
  log: Logger;
};

const batch = 200;

/** Ends runs whose time to live is over, and their children; owners of running ones are told. True: there may be more. */
export function createExpirer({ sql, queues, publish, log }: Options) {
  return async function expire(): Promise<boolean> {
    const { ended, requested, woken } = await cancelExpiredRuns(sql, batch);
    const runs = ended.length + requested.length;
    if (runs === 0) return false;
    log.info({ ended: ended.length, requested: requested.length }, 'time to live over');
    await announceEnds({ queues, publish }, ended);
    if (woken.length > 0) await queues.deliver(woken);
    return runs >= batch;
  };
}
