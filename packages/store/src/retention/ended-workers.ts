import type { Db } from '../client.ts';

/** Forgets up to `limit` lives of workers that ended more than `days` ago and own nothing; returns how many. */
export async function deleteEndedWorkers(db: Db, days: number, limit: number): Promise<number> {
  const rows = await db`
    DELETE FROM workers WHERE id IN (
      SELECT id FROM workers w
      WHERE ended_at < now() - ${days} * interval '1 day' AND NOT EXISTS (SELECT FROM run_live l WHERE l.owner = w.id)
      ORDER BY id LIMIT ${limit}
    ) RETURNING 1`;
  return rows.length;
}
