import type { Db } from '../client.ts';

/** What may go: runs with an id up to this one that finished before this moment (of Postgres' clock, as text). */
export type RetentionRule = { upTo: string; finishedBefore: string };

/** Runs that finished more than `days` ago. */
export async function ruleByAge(db: Db, days: number): Promise<RetentionRule> {
  const [rule] = await db<RetentionRule[]>`
    SELECT uuidv7_floor(moment) AS "upTo", moment::text AS "finishedBefore"
    FROM (SELECT now() - ${days} * interval '1 day' AS moment) m`;
  return rule as RetentionRule;
}

/** Finished runs beyond the `maxRuns` that were accepted last; null when there are no more than that. */
export async function ruleByCount(db: Db, maxRuns: number): Promise<RetentionRule | null> {
  const [rule] = await db<RetentionRule[]>`
    SELECT r.id AS "upTo", now()::text AS "finishedBefore" FROM runs r
    WHERE NOT EXISTS (SELECT FROM run_live l WHERE l.id = r.id)
    ORDER BY r.id DESC OFFSET ${maxRuns} LIMIT 1`;
  return rule ?? null;
}
