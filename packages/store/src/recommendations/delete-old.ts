import type { Db } from '../client.ts';

/** Deletes up to `limit` recommendations older than so many days; what was said of them stays. Returns how many. */
export async function deleteOldRecommendations(db: Db, days: number, limit: number): Promise<number> {
  const { count } = await db`
    DELETE FROM recommendations WHERE id IN (
      SELECT id FROM recommendations WHERE id < uuidv7_floor(now() - ${days} * interval '1 day') ORDER BY id LIMIT ${limit}
    )`;
  return count;
}
