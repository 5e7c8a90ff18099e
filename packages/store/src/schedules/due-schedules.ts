import type { Db } from '../client.ts';

/** Condition on a `schedules` row `s`: its owner is contained, so it is late until they are released. */
export function ownerContained(db: Db) {
  return db`EXISTS (SELECT FROM users u WHERE u.id = s.owner_id AND u.contained_at IS NOT NULL)`;
}

/** Up to `limit` schedules whose time has come, the longest due first. */
export async function dueSchedules(db: Db, limit: number): Promise<string[]> {
  const rows = await db<{ id: string }[]>`
    SELECT id FROM schedules s WHERE next_at <= now() AND NOT ${ownerContained(db)} ORDER BY next_at LIMIT ${limit}`;
  return rows.map(({ id }) => id);
}

/** Seconds for which the longest due schedule has waited to be fired; 0 when none is due. */
export async function scheduleLag(db: Db): Promise<number> {
  const [row] = await db<{ lag: number }[]>`
    SELECT coalesce(extract(epoch FROM now() - min(next_at)), 0)::float8 AS lag FROM schedules s
    WHERE next_at <= now() AND NOT ${ownerContained(db)}`;
  return row?.lag ?? 0;
}

/** The time schedules go by, to the millisecond. */
export async function postgresTime(db: Db): Promise<Date> {
  const [row] = await db<{ now: Date }[]>`SELECT now()`;
  if (row === undefined) throw new Error('SELECT now() gave no row');
  return row.now;
}
