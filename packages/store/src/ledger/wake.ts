import type { Db } from '../client.ts';

/** Runs whose timer has gone off become ready; the feeder hands them to the queue. Returns how many. */
export async function wakeDueRuns(db: Db, limit: number): Promise<number> {
  const rows = await db`
    UPDATE run_live l SET state = 'queued', wake_at = NULL, ready_at = l.wake_at, due_at = now(), dispatch = l.dispatch + 1
    FROM (SELECT id FROM run_live WHERE wake_at <= now() ORDER BY wake_at LIMIT ${limit}) due
    -- Not bare, as in handOver: run_live_wake would be walked through for each of them.
    WHERE l.id = due.id AND l.state = 'waiting' AND coalesce(l.wake_at <= now(), false) RETURNING l.id`;
  return rows.length;
}
