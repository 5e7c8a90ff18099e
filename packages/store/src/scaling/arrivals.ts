import type { QueueName } from '@flowstate/contracts';
import type { Db } from '../client.ts';

const windowSeconds = 20;
/** Ids are made by gateways: one whose clock is so far behind is still counted right. */
const clockTolerance = '5 seconds';

/**
 * Runs accepted a second over the last 20 seconds, by queue. Counted anew each time, so that whoever asks gets the
 * same: an id range finds the rows, and the database's own clock decides which of them count. At
 * 1,000 a second that is 25,000 rows, about 20 ms.
 */
export async function arrivalsPerSecond(db: Db): Promise<Map<QueueName, number>> {
  const rows = await db<{ queue: QueueName; runs: number }[]>`
    WITH accepted AS (
      SELECT workflow_id, count(*) AS runs FROM runs
      WHERE id >= uuidv7_floor(now() - ${windowSeconds} * interval '1 second' - ${clockTolerance}::interval)
        -- From the future are those of before a clock that was set back.
        AND created_at > now() - ${windowSeconds} * interval '1 second' AND created_at <= now() + interval '1 second'
      GROUP BY workflow_id
    )
    SELECT w.queue, sum(a.runs)::int AS runs FROM accepted a JOIN workflows w ON w.id = a.workflow_id GROUP BY w.queue`;
  return new Map(rows.map(({ queue, runs }) => [queue, runs / windowSeconds]));
}
