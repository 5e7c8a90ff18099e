import type { Db } from '../client.ts';

/**
 * Ids of a user's live runs that are at work, in line or waiting. One pass over the live rows (tens of milliseconds for
 * 100k): an index for this would cost every run there is.
 */
export async function runsToQuarantine(db: Db, userId: string): Promise<string[]> {
  const rows = await db<{ id: string }[]>`
    SELECT id FROM run_live WHERE principal_id = ${userId} AND state IN ('running', 'queued', 'waiting')
    -- Those that do something first.
    ORDER BY state = 'running' DESC, id`;
  return rows.map(({ id }) => id);
}
