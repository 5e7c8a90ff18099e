import type { Db } from '../client.ts';
import type { RetentionRule } from './rules.ts';

export type LedgerWeek = {
  /** ISO week: `2026_48`. */
  week: string;
  firstId: string;
  /** Lowest id of the next week. */
  endId: string;
  /** Tables that have a partition of it; without `runs` it was decided before that the week may go. */
  tables: string[];
};

/** Weeks of the ledger that lie wholly before the rule's last id, oldest first. */
export async function weeksBefore(db: Db, { upTo }: Pick<RetentionRule, 'upTo'>): Promise<LedgerWeek[]> {
  return db<LedgerWeek[]>`
    SELECT week, first_id AS "firstId", end_id AS "endId", array_agg(parent ORDER BY parent) AS tables
    FROM ledger_partitions WHERE end_id <= ${upTo} GROUP BY week, first_id, end_id ORDER BY week`;
}

/**
 * Drops one week of one table: rows dropped, null when it must stay. Fails with 55P03 when others hold it in use: the
 * caller tries again, since waiting for the lock would hold up everybody behind.
 */
export async function dropLedgerWeek(
  db: Db,
  table: string,
  { week }: Pick<LedgerWeek, 'week'>,
  { finishedBefore }: Pick<RetentionRule, 'finishedBefore'>,
): Promise<number | null> {
  const [row] = await db<{ dropped: number | null }[]>`
    SELECT drop_ledger_partition(${table}, ${week}, ${finishedBefore}::timestamptz) AS dropped`;
  return row?.dropped ?? null;
}

/** Removes up to `limit` webhook deliveries of runs that a dropped week held; returns how many. */
export async function deleteWebhooksOf(
  db: Db,
  { firstId, endId }: Pick<LedgerWeek, 'firstId' | 'endId'>,
  limit: number,
): Promise<number> {
  const rows = await db`
    DELETE FROM webhook_deliveries w USING (
      SELECT run_id, attempt FROM webhook_deliveries WHERE run_id >= ${firstId} AND run_id < ${endId} LIMIT ${limit}
    ) old
    WHERE w.run_id = old.run_id AND w.attempt = old.attempt RETURNING 1`;
  return rows.length;
}

/** Removes up to `limit` calls of models by runs that a dropped week held, and those runs' counters; returns how many. */
export async function deleteModelCallsOf(
  db: Db,
  { firstId, endId }: Pick<LedgerWeek, 'firstId' | 'endId'>,
  limit: number,
): Promise<number> {
  const rows = await db`
    WITH calls AS (
      DELETE FROM model_calls c USING (
        SELECT id FROM model_calls WHERE run_id >= ${firstId} AND run_id < ${endId} LIMIT ${limit}
      ) old
      WHERE c.id = old.id RETURNING c.run_id
    ),
    counters AS (
      DELETE FROM model_spending s USING (SELECT DISTINCT run_id FROM calls) c
      WHERE s.level = 'run' AND s.subject = c.run_id::text
    )
    SELECT FROM calls`;
  return rows.length;
}
