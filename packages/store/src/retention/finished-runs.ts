import type { Db, Sql } from '../client.ts';
import type { RetentionRule } from './rules.ts';

/** Ids of up to `limit` runs after `after` that the rule lets go, in order. */
export async function expendableRuns(
  db: Db,
  { upTo, finishedBefore }: RetentionRule,
  { after, limit }: { after: string; limit: number },
): Promise<string[]> {
  const rows = await db<{ id: string }[]>`
    SELECT id FROM run_retention
    WHERE id > ${after} AND id <= ${upTo} AND NOT held AND finished_at < ${finishedBefore}::timestamptz
    ORDER BY id LIMIT ${limit}`;
  return rows.map(({ id }) => id);
}

/** Rows deleted, by table. */
export type Deleted = Record<string, number>;

/**
 * Deletes those of `ids` that the rule (still) lets go, with all that belongs to them. Their rows are locked first and
 * looked at again with a fresh snapshot: one that was retried meanwhile stays.
 */
export async function deleteFinishedRuns(
  sql: Sql,
  ids: string[],
  { finishedBefore }: Pick<RetentionRule, 'finishedBefore'>,
): Promise<Deleted> {
  return sql.begin(async (tx) => {
    await tx`SELECT id FROM runs WHERE id = ANY(${ids}::uuid[]) ORDER BY id FOR UPDATE`;
    const rows = await tx<{ table: string; rows: number }[]>`
      WITH old AS MATERIALIZED (
        SELECT id FROM run_retention
        WHERE id = ANY(${ids}::uuid[]) AND NOT held AND finished_at < ${finishedBefore}::timestamptz
      ),
      runs_gone AS (DELETE FROM runs r USING old WHERE r.id = old.id RETURNING 1),
      ends_gone AS (DELETE FROM run_ends e USING old WHERE e.id = old.id RETURNING 1),
      journal_gone AS (DELETE FROM run_journal j USING old WHERE j.run_id = old.id RETURNING 1),
      inbox_gone AS (DELETE FROM run_inbox i USING old WHERE i.run_id = old.id RETURNING 1),
      payloads_gone AS (DELETE FROM run_payloads p USING old WHERE p.run_id = old.id RETURNING 1),
      webhooks_gone AS (DELETE FROM webhook_deliveries w USING old WHERE w.run_id = old.id RETURNING 1),
      calls_gone AS (DELETE FROM model_calls c USING old WHERE c.run_id = old.id RETURNING 1),
      counters_gone AS (
        DELETE FROM model_spending s USING old WHERE s.level = 'run' AND s.subject = old.id::text RETURNING 1
      )
      SELECT 'runs' AS table, count(*) AS rows FROM runs_gone
      UNION ALL SELECT 'run_ends', count(*) FROM ends_gone
      UNION ALL SELECT 'run_journal', count(*) FROM journal_gone
      UNION ALL SELECT 'run_inbox', count(*) FROM inbox_gone
      UNION ALL SELECT 'run_payloads', count(*) FROM payloads_gone
      UNION ALL SELECT 'webhook_deliveries', count(*) FROM webhooks_gone
      UNION ALL SELECT 'model_calls', count(*) FROM calls_gone
      UNION ALL SELECT 'model_spending', count(*) FROM counters_gone`;
    return Object.fromEntries(rows.map(({ table, rows }) => [table, rows]));
  });
}

/** Seconds since the end of the run that was accepted first of those that are over; null when there is none. */
export async function oldestFinishedAge(db: Db): Promise<number | null> {
  const [row] = await db<{ age: number }[]>`
    SELECT extract(epoch FROM now() - finished_at)::float8 AS age FROM run_ends ORDER BY id, attempt LIMIT 1`;
  return row?.age ?? null;
}
