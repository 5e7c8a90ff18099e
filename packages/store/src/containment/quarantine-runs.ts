import type { Db } from '../client.ts';
import { appendToJournals } from './append-to-journals.ts';

export type Quarantined = { queued: number; running: number; waiting: number };

/**
 * Takes those of `ids` that are a contained user's out of everybody's hands, in the caller's transaction: nobody owns,
 * feeds, wakes or claims them, and what they recorded stays. A run whose row is locked by somebody is left for the
 * caller's next look, so that this never waits for a run while it holds another; with `waits`, which is for a single
 * one, it is waited for. Parked runs are at rest already. Returns how many there were of each kind, and by which
 * containment; null when there was none.
 */
export async function quarantineRuns(
  tx: Db,
  { userId, ids, waits = false }: { userId: string; ids: readonly string[]; waits?: boolean },
): Promise<(Quarantined & { containment: string }) | null> {
  // Shared with others who quarantine; whoever releases the user waits, and then finds these runs.
  const [user] = await tx`SELECT 1 FROM users WHERE id = ${userId} AND contained_at IS NOT NULL FOR SHARE`;
  if (user === undefined) return null;
  const mine = await tx<{ id: string; state: keyof Quarantined }[]>`
      SELECT id, state FROM run_live
      WHERE id = ANY(${ids}::uuid[]) AND principal_id = ${userId} AND state IN ('queued', 'running', 'waiting')
      ORDER BY id FOR UPDATE ${waits ? tx`` : tx`SKIP LOCKED`}`;
  if (mine.length === 0) return null;
  const done = { queued: 0, running: 0, waiting: 0 };
  for (const { state } of mine) done[state] += 1;
  const [containment] = await tx<{ id: string }[]>`
      UPDATE containments SET queued = queued + ${done.queued}, running = running + ${done.running},
        waiting = waiting + ${done.waiting}
      WHERE user_id = ${userId} AND released_at IS NULL RETURNING id`;
  if (containment === undefined) throw new Error(`user ${userId} is contained by nothing`);
  const held = mine.map(({ id }) => id);
  await appendToJournals(tx, held, { type: 'run.quarantined', data: { containment: containment.id } });
  await tx`
      UPDATE run_live SET state = 'quarantined', owner = NULL, wake_at = NULL,
        -- A capped run gives its place up; none is ever due.
        due_at = CASE WHEN capped THEN 'infinity'::timestamptz END
      WHERE id = ANY(${held}::uuid[])`;
  return { ...done, containment: containment.id };
}
