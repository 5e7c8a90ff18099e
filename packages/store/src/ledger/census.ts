import type { LiveState, QueueName } from '@flowstate/contracts';
import type { Sql, Db } from '../client.ts';

/** Live runs of one principal and workflow version in one queue. */
export type LiveCount = {
  queue: QueueName;
  principalId: string;
  workflowId: number;
  live: number;
  states: Record<LiveState, number>;
  /** Standing in the ledger's line, due now or before a worker that starts now is up. */
  due: number;
  /** Of those that workers own. */
  held: number;
  /** Handed to the queue and claimed by nobody yet. */
  handed: number;
  /** Seconds since the oldest that nobody has begun became ready; null: none waits. */
  oldestSeconds: number | null;
};

/** About how long a new worker takes until it serves. */
const startUp = '30 seconds';

/** Counts everything that has not ended: one pass over the live rows, tens of milliseconds for 100k. */
export async function countLiveRuns(sql: Sql): Promise<{ countedAt: Date; counts: LiveCount[] }> {
  return sql.begin(async (tx) => {
    // All rows are read: the one statement here for which a sequential scan is right.
    await tx`SET LOCAL enable_seqscan = on`;
    const [clock] = await tx<{ now: Date }[]>`SELECT now()`;
    const counts = await tx<LiveCount[]>`
      SELECT queue, principal_id AS "principalId", workflow_id AS "workflowId", count(*)::int AS live,
        json_build_object(
          'queued', count(*) FILTER (WHERE state = 'queued'),
          'running', count(*) FILTER (WHERE state = 'running'),
          'waiting', count(*) FILTER (WHERE state = 'waiting'),
          'parked', count(*) FILTER (WHERE state = 'parked'),
          'quarantined', count(*) FILTER (WHERE state = 'quarantined')) AS states,
        (count(*) FILTER (WHERE state = 'queued' AND due_at <= now() + ${startUp}::interval))::int AS due,
        (count(*) FILTER (WHERE owner IS NOT NULL))::int AS held,
        (count(*) FILTER (WHERE state = 'queued' AND owner IS NULL AND due_at IS NULL))::int AS handed,
        extract(epoch FROM now() - min(ready_at)
          FILTER (WHERE state = 'queued' AND owner IS NULL AND ready_at <= now()))::float8 AS "oldestSeconds"
      FROM run_live GROUP BY queue, principal_id, workflow_id`;
    return { countedAt: clock?.now ?? new Date(0), counts };
  });
}

/** Principals who may soon have too many runs that have not ended, and when that was counted. */
export type Census = {
  countedAt: Date;
  /** Counted in the last minute. */
  fresh: boolean;
  crowded: Record<string, number>;
};

export async function publishCensus(db: Db, { countedAt, crowded }: Omit<Census, 'fresh'>): Promise<void> {
  await db`
    UPDATE backlog_census SET counted_at = ${countedAt}, crowded = ${JSON.stringify(crowded)}::text::jsonb`;
}

/** What was counted last; without its (long) list when that is the count `known` already. */
export async function readCensus(
  db: Db,
  known = new Date(0),
): Promise<Omit<Census, 'crowded'> & { crowded: Census['crowded'] | null }> {
  const [row] = await db<(Omit<Census, 'crowded'> & { crowded: Census['crowded'] | null })[]>`
    SELECT counted_at AS "countedAt", counted_at > now() - interval '1 minute' AS fresh,
           CASE WHEN counted_at <> ${known} THEN crowded END AS crowded
    FROM backlog_census`;
  return row ?? { countedAt: known, fresh: false, crowded: null };
}
