import type { Db } from '../client.ts';
import type { Delivery } from './release.ts';
import { workerLockClass } from './workers.ts';

/** After this long without a heartbeat a worker whose database session is gone too is dead. */
const goneAfter = '1 second';
/** After this long it is dead even though its session stands (host lost, process stopped). */
const silentAfter = '15 seconds';

/**
 * Declares workers dead and makes their runs ready again, in one statement. Liveness is the database session
 * (its advisory lock), not a clock: a paused worker keeps its runs, a killed one loses them within the second.
 */
export async function reclaimFromDead(db: Db): Promise<{ workers: number[]; runs: Delivery[] }> {
  const rows = await db<(Partial<Delivery> & { worker: number })[]>`
    WITH dead AS (
      UPDATE workers w SET ended_at = now()
      WHERE ended_at IS NULL AND heartbeat_at < now() - ${goneAfter}::interval
        AND (heartbeat_at < now() - ${silentAfter}::interval OR NOT EXISTS (
          SELECT 1 FROM pg_locks k
          WHERE k.locktype = 'advisory' AND k.classid = ${workerLockClass} AND k.objid = w.id AND k.objsubid = 2
            AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        ))
      RETURNING w.id
    ),
    taken AS (
      UPDATE run_live l SET owner = NULL, state = 'queued', dispatch = dispatch + 1, crashes = crashes + 1
      FROM dead WHERE l.owner = dead.id
      RETURNING l.id AS "runId", l.queue, l.priority, l.dispatch
    )
    SELECT dead.id AS worker, taken.* FROM dead LEFT JOIN taken ON true`;
  const runs = new Map<string, Delivery>();
  for (const { runId, queue, priority, dispatch } of rows) {
    if (runId) runs.set(runId, { runId, queue, priority, dispatch } as Delivery);
  }
  return { workers: [...new Set(rows.map((row) => row.worker))], runs: [...runs.values()] };
}

/**
 * Ready rows that nobody claimed for a while, in id order after `after`: their job may be missing (Redis was away
 * or was flushed) or spent. The caller asks the queue and re-delivers.
 */
export async function unclaimedRuns(db: Db, { after, limit }: { after: string; limit: number }): Promise<Delivery[]> {
  return db<Delivery[]>`
    SELECT id AS "runId", queue, priority, dispatch FROM run_live
    WHERE id > ${after} AND state = 'queued' AND owner IS NULL AND ready_at < now() - interval '1 second'
    ORDER BY id LIMIT ${limit}`;
}

/** A spent job id is never delivered again: the next delivery gets the next number. */
export async function nextDispatch(db: Db, runIds: string[]): Promise<Delivery[]> {
  return db<Delivery[]>`
    UPDATE run_live SET dispatch = dispatch + 1
    WHERE id = ANY(${runIds.toSorted()}::uuid[]) AND state = 'queued' AND owner IS NULL
    RETURNING id AS "runId", queue, priority, dispatch`;
}
