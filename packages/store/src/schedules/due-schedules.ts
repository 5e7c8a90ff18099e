import type { Db } from '../client.ts';

/** Up to `limit` schedules whose time has come, the longest due first. */
export async function dueSchedules(db: Db, limit: number): Promise<string[]> {
  const rows = await db<{ id: string }[]>`
    SELECT id FROM schedules WHERE next_at <= now() ORDER BY next_at LIMIT ${limit}`;
  return rows.map(({ id }) => id);
}

/** Seconds for which the longest due schedule has waited to be fired; 0 when none is due. */
export async function scheduleLag(db: Db): Promise<number> {
  const [row] = await db<{ lag: number }[]>`
    SELECT coalesce(extract(epoch FROM now() - min(next_at)), 0)::float8 AS lag FROM schedules WHERE next_at <= now()`;
  return row?.lag ?? 0;
}

/** The time schedules go by, to the millisecond. */
export async function postgresTime(db: Db): Promise<Date> {
  const [row] = await db<{ now: Date }[]>`SELECT now()`;
  if (row === undefined) throw new Error('SELECT now() gave no row');
  return row.now;
}
