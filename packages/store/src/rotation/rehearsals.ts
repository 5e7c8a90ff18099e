import type { Db } from '../client.ts';

export type RehearsalCheck = { name: string; ok: boolean; evidence: string };
export type Rehearsal = { at: Date; passed: boolean; checks: RehearsalCheck[]; by: string | null };

export async function insertRehearsal(
  db: Db,
  { by, checks }: { by: string | null; checks: readonly RehearsalCheck[] },
): Promise<Rehearsal> {
  const passed = checks.every(({ ok }) => ok);
  const [row] = await db<{ at: Date }[]>`
    INSERT INTO rotation_rehearsals (by, passed, checks) VALUES (${by}, ${passed}, ${JSON.stringify(checks)})
    RETURNING at`;
  if (row === undefined) throw new Error('INSERT … RETURNING gave no row');
  return { at: row.at, passed, checks: [...checks], by };
}

/** The last one, and what time it is in Postgres. */
export async function readLastRehearsal(db: Db): Promise<{ now: Date; last: Rehearsal | null }> {
  const [row] = await db<
    { now: Date; at: Date | null; passed: boolean; by: string | null; checks: RehearsalCheck[] }[]
  >`
    SELECT now() AS now, r.at, r.passed, r.by, r.checks::json AS checks
    FROM (VALUES (1)) AS one LEFT JOIN (SELECT * FROM rotation_rehearsals ORDER BY id DESC LIMIT 1) AS r ON true`;
  if (row === undefined) throw new Error('no row from a row of values');
  const { now, at, passed, by, checks } = row;
  return { now, last: at === null ? null : { at, passed, by, checks } };
}
