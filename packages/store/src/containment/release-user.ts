import type { Db } from '../client.ts';
import { raiseEpoch } from '../identity/users.ts';

/**
 * Lets a user in again; sessions and keys that were ended stay ended. Their runs are the caller's next step. Returns
 * the containment that this ended; null when none was open.
 */
export async function releaseUser(
  tx: Db,
  { userId, releasedBy }: { userId: string; releasedBy: string | null },
): Promise<{ id: string } | null> {
  await raiseEpoch(tx);
  // Waits for whoever is quarantining a run: what they do is there to be undone afterwards.
  await tx`UPDATE users SET contained_at = NULL WHERE id = ${userId} AND contained_at IS NOT NULL`;
  const [row] = await tx<{ id: string }[]>`
    UPDATE containments SET released_at = now(), released_by = ${releasedBy}
    WHERE user_id = ${userId} AND released_at IS NULL RETURNING id`;
  return row ?? null;
}
