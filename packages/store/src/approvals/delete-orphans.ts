import type { Db } from '../client.ts';

/** Deletes up to `limit` approvals whose run is gone. Returns how many. */
export async function deleteOrphanedApprovals(db: Db, limit: number): Promise<number> {
  const { count } = await db`
    DELETE FROM approvals WHERE id IN (
      SELECT a.id FROM approvals a WHERE NOT EXISTS (SELECT FROM runs r WHERE r.id = a.run_id) ORDER BY a.id LIMIT ${limit}
    )`;
  return count;
}
