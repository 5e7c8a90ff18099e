import type { Db } from '../client.ts';
import { appendToJournals } from './append-to-journals.ts';

/**
 * Lets quarantined runs of a user who is contained no more stand in line again; the feeder hands them over, and they go
 * on from what is recorded. One that waited looks anew whether what it waits for has come. Up to `limit`, in the caller's
 * transaction; answers how many.
 */
export async function releaseRuns(tx: Db, { userId, limit }: { userId: string; limit: number }): Promise<number> {
  // Contained again meanwhile, they stay.
  const [user] = await tx`SELECT 1 FROM users WHERE id = ${userId} AND contained_at IS NULL FOR SHARE`;
  if (user === undefined) return 0;
  const mine = await tx<{ id: string }[]>`
      SELECT id FROM run_live WHERE principal_id = ${userId} AND state = 'quarantined'
      ORDER BY id LIMIT ${limit} FOR UPDATE`;
  if (mine.length === 0) return 0;
  const ids = mine.map(({ id }) => id);
  await appendToJournals(tx, ids, { type: 'run.released', data: {} });
  await tx`
      UPDATE run_live SET state = 'queued', dispatch = dispatch + 1,
        due_at = greatest(ready_at, now()), wake_at = NULL
      WHERE id = ANY(${ids}::uuid[])`;
  return ids.length;
}
