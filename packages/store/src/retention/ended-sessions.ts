import type { Db } from '../client.ts';

/** Forgets up to `limit` sessions that ended more than `days` ago, with their refresh tokens; returns how many. */
export async function deleteEndedSessions(db: Db, days: number, limit: number): Promise<number> {
  const rows = await db`
    DELETE FROM sessions WHERE id IN (
      SELECT id FROM sessions WHERE least(expires_at, revoked_at) < now() - ${days} * interval '1 day'
      ORDER BY id LIMIT ${limit}
    ) RETURNING 1`;
  return rows.length;
}
