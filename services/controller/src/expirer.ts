import { announceEnds, type PublishNews, type RunQueues } from '@flowstate/queue';
import type { Logger } from '@flowstate/runtime';
import { cancelExpiredRuns, cancelOrphans, type Cancelled, type Sql } from '@flowstate/store';

type Options = {
  sql: Sql;
  queues: Pick<RunQueues, 'withdraw' | 'deliver'>;
  publish: PublishNews;
  log: Logger;
};

const batch = 200;

/** Ends runs whose time to live is over, and their children; owners of running ones are told. True: there may be more. */
export function createExpirer(options: Options) {
  return cancelling(options, cancelExpiredRuns, 'time to live over');
}

/** Ends children of cancelled runs whose canceller was lost before it came to them. */
export function createOrphanCanceller(options: Options) {
  return cancelling(options, cancelOrphans, 'children of cancelled runs');
}

function cancelling(
  { sql, queues, publish, log }: Options,
  cancel: (sql: Sql, limit: number) => Promise<Cancelled>,
  what: string,
) {
  return async function work(): Promise<boolean> {
    const { ended, requested, woken } = await cancel(sql, batch);
    const runs = ended.length + requested.length;
    if (runs === 0) return false;
    log.info({ ended: ended.length, requested: requested.length }, what);
    await announceEnds({ queues, publish }, ended);
    if (woken.length > 0) await queues.deliver(woken);
    return runs >= batch;
  };
}
