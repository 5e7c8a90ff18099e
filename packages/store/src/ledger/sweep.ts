import type { Delivery } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { deliveryColumns } from './deliveries.ts';
import { advisoryLockClasses } from '../advisory-locks.ts';

/** After this long without a heartbeat a worker whose database session is gone too is dead. */
const goneAfter = '1 second';
/** After this long it is dead even though its session stands (host lost, process stopped). */
const silentAfter = '15 seconds';
/** After a restart of Postgres everybody gets this long to show that they live. */
const amnesty = '2 seconds';
/** A run whose workers died this often, without a step finished in between, waits for a person. */
export const maxCrashes = 3;

export type Reclaimed = {
  workers: number[];
  /** To be delivered again, as suspects. */
  runs: Delivery[];
  /** Ids of runs parked because they outlived too many workers. */
  parked: string[];
};

/**
 * Declares workers dead and makes their runs ready again, in one statement. Liveness is the database session
 * (its advisory lock), not a clock: a paused worker keeps its runs, a killed one loses them within the second.
 */
export async function reclaimFromDead(db: Db): Promise<Reclaimed> {
  const rows = await db<(Partial<Delivery> & { worker: number; state: string | null })[]>`
    WITH dead AS (
      UPDATE workers w SET ended_at = now()
      WHERE ended_at IS NULL AND heartbeat_at < now() - ${goneAfter}::interval
        AND pg_postmaster_start_time() < now() - ${amnesty}::interval
        AND (heartbeat_at < now() - ${silentAfter}::interval OR NOT EXISTS (
          SELECT 1 FROM pg_locks k
          WHERE k.locktype = 'advisory' AND k.classid = ${advisoryLockClasses.workers} AND k.objid = w.id AND k.objsubid = 2
            AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        ))
      RETURNING w.id
    ),
    taken AS (
      UPDATE run_live l SET ${taken(db)} FROM dead WHERE l.owner = dead.id
      RETURNING ${deliveryColumns(db, 'l')}, l.state
    )
    SELECT dead.id AS worker, taken.* FROM dead LEFT JOIN taken ON true`;
  const runs = new Map<string, Delivery>();
  const parked = new Set<string>();
  for (const { worker: _worker, state, ...delivery } of rows) {
    if (state === 'queued') runs.set(delivery.runId as string, delivery as Delivery);
    else if (state === 'parked') parked.add(delivery.runId as string);
  }
  return { workers: [...new Set(rows.map((row) => row.worker))], runs: [...runs.values()], parked: [...parked] };
}

/**
 * Its owner lives, but could not go on with the run for a reason nobody foresaw: as if it had died with it, so that a
 * run that fails this way again and again waits for a person. Null: it was not its owner (any more).
 */
export async function reclaimFromOwner(
  db: Db,
  owner: number,
  runId: string,
): Promise<{ delivery: Delivery; parked: boolean } | null> {
  const [row] = await db<(Delivery & { parked: boolean })[]>`
    UPDATE run_live l SET ${taken(db)} WHERE l.id = ${runId} AND l.owner = ${owner}
    RETURNING ${deliveryColumns(db, 'l')}, l.state = 'parked' AS parked`;
  if (row === undefined) return null;
  const { parked, ...delivery } = row;
  return { delivery, parked };
}

/** `SET` list that takes a run (`l`) from an owner who came to grief. */
function taken(db: Db) {
  return db`
    owner = NULL, dispatch = l.dispatch + 1, crashes = l.crashes + 1, ready_at = now(),
    state = CASE WHEN l.crashes + 1 < ${maxCrashes} THEN 'queued' ELSE 'parked' END`;
}

/** Runs of workers that had ended already when they claimed them: a claim and a verdict may cross each other. */
export async function reclaimStrays(db: Db): Promise<number> {
  const rows = await db`
    UPDATE run_live l SET owner = NULL, state = 'queued', dispatch = dispatch + 1, due_at = now()
    WHERE l.owner = ANY(ARRAY(SELECT id FROM workers WHERE ended_at < now() - interval '1 second')) RETURNING l.id`;
  return rows.length;
}

/**
 * Runs that were handed to the queue and that nobody claimed for a while, in id order after `after`: their job may be
 * missing (Redis was away or was flushed) or spent. The caller asks the queue.
 */
export async function undeliveredRuns(db: Db, { after, limit }: { after: string; limit: number }): Promise<Delivery[]> {
  return db<Delivery[]>`
    SELECT ${deliveryColumns(db, 'l')} FROM run_live l
    WHERE id > ${after} AND state = 'queued' AND owner IS NULL AND due_at IS NULL
      AND ready_at < now() - interval '1 second'
    ORDER BY id LIMIT ${limit}`;
}

/**
 * Back to the feeder: runs whose job the queue does not have. A `spent` job id is never delivered again, so the next
 * delivery gets the next number.
 */
export async function returnToFeeder(
  db: Db,
  { missing, spent }: { missing: string[]; spent: string[] },
): Promise<number> {
  const rows = await db`
    UPDATE run_live l SET due_at = now(), dispatch = dispatch + i.spent
    FROM unnest(${[...missing, ...spent]}::uuid[], ${[...missing.map(() => 0), ...spent.map(() => 1)]}::int[])
      AS i(id, spent)
    WHERE l.id = i.id AND l.state = 'queued' AND l.owner IS NULL AND l.due_at IS NULL RETURNING l.id`;
  return rows.length;
}
