import { createInputChecks } from '@flowstate/contracts';
import { announceEnds, type PublishNews, type RunQueues } from '@flowstate/queue';
import type { Logger } from '@flowstate/runtime';
import { inRootSpan } from '@flowstate/tracing';
import { dueSchedules, fireSchedules, type Fired, type Sql } from '@flowstate/store';

type Options = {
  sql: Sql;
  queues: Pick<RunQueues, 'withdraw' | 'deliver'>;
  publish: PublishNews;
  log: Logger;
  onFired: (fired: Fired) => void;
};

/** Schedules fired in one transaction. */
const batch = 50;

/** Fires due schedules; the feeder hands their runs to the queue. Answers true while there may be more. */
export function createScheduler({ sql, queues, publish, log, onFired }: Options) {
  const checks = createInputChecks();

  return async function fire(): Promise<boolean> {
    const due = await dueSchedules(sql, batch);
    if (due.length === 0) return false;
    // The runs go on in its trace.
    const fired = await inRootSpan('fire schedules', { parent: null }, () => fireSchedules(sql, due, checks));
    onFired(fired);
    for (const { id, reason } of fired.suspended) log.warn({ scheduleId: id, reason }, 'schedule suspended');
    await announceEnds({ queues, publish }, fired.ended);
    // Redis away: the sweeper delivers whom the ends woke.
    if (fired.woken.length > 0) await queues.deliver(fired.woken).catch(() => {});
    // Less than a batch may be one long gap, made up for piece by piece.
    return fired.fired > 0 || due.length === batch;
  };
}
