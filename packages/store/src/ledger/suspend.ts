import type { Db } from '../client.ts';

/** A run with nothing to do until somebody or some time wakes it. */
export type Suspension = {
  runId: string;
  /** Entries of the inbox its owner has seen: with a newer one it must not sleep. */
  inbox: number;
  /** Postgres time in milliseconds of its earliest timer; null when only news can wake it. */
  wakeAt: number | null;
};

/**
 * The owner lets go of a run that waits. The row's lock decides between this and a signal, a child's end or a cancel
 * arriving at the same moment: `news` when one of them came first. Everything it recorded must be in the ledger.
 */
export async function suspendRun(
  db: Db,
  incarnation: number,
  { runId, inbox, wakeAt }: Suspension,
): Promise<'suspended' | 'news' | 'lost'> {
  const [row] = await db<{ suspended: boolean }[]>`
    WITH mine AS (
      SELECT id, inbox <> ${inbox} OR cancel AS news FROM run_live
      WHERE id = ${runId} AND owner = ${incarnation} FOR UPDATE
    ),
    suspended AS (
      UPDATE run_live l SET owner = NULL, state = 'waiting', wake_at = to_timestamp(${wakeAt}::float8 / 1000)
      FROM mine WHERE l.id = mine.id AND NOT mine.news RETURNING l.id
    )
    SELECT EXISTS (SELECT FROM suspended) AS suspended FROM mine`;
  if (row === undefined) return 'lost';
  return row.suspended ? 'suspended' : 'news';
}

/** Runs whose timer has gone off become ready; the feeder hands them to the queue. Returns how many. */
export async function wakeDueRuns(db: Db, limit: number): Promise<number> {
  const rows = await db`
    UPDATE run_live l SET state = 'queued', wake_at = NULL, ready_at = l.wake_at, due_at = now(), dispatch = l.dispatch + 1
    FROM (SELECT id FROM run_live WHERE wake_at <= now() ORDER BY wake_at LIMIT ${limit}) due
    WHERE l.id = due.id AND l.state = 'waiting' AND l.wake_at <= now() RETURNING l.id`;
  return rows.length;
}
