import type { Db } from '../client.ts';

/** First key of the advisory locks by which workers show that their session lives; the second is the incarnation. */
export const workerLockClass = 7310;

/** Registers a worker process under a number that is never used again. */
export async function registerWorker(db: Db, worker: { host: string; pid: number; bundle: string }): Promise<number> {
  const [row] = await db<{ id: number }[]>`
    INSERT INTO workers (host, pid, bundle) VALUES (${worker.host}, ${worker.pid}, ${worker.bundle}) RETURNING id`;
  if (row === undefined) throw new Error('INSERT … RETURNING gave no row');
  return row.id;
}

/** Holds the worker's liveness lock for as long as this session lives; locking again in the same session does nothing. */
export async function lockIncarnation(session: Db, incarnation: number): Promise<void> {
  await session`
    SELECT CASE WHEN NOT EXISTS (
      SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = ${workerLockClass} AND objid = ${incarnation}
        AND objsubid = 2 AND pid = pg_backend_pid()
    ) THEN pg_advisory_lock(${workerLockClass}, ${incarnation}) END`;
}

export type Heartbeat = {
  /** False when this incarnation was declared dead: everything it runs has a new owner, it must stop. */
  alive: boolean;
  /** Which of the held runs somebody wants cancelled. */
  cancelled: string[];
};

/** One row per worker, none per run; the answer carries what the worker must hear. */
export async function beat(db: Db, incarnation: number, held: string[]): Promise<Heartbeat> {
  const [row] = await db<{ cancelled: string[] | null }[]>`
    WITH beat AS (UPDATE workers SET heartbeat_at = now() WHERE id = ${incarnation} AND ended_at IS NULL RETURNING id)
    SELECT (SELECT array_agg(id) FROM run_live WHERE id = ANY(${held}::uuid[]) AND owner = ${incarnation} AND cancel)
      AS cancelled
    FROM beat`;
  return { alive: row !== undefined, cancelled: row?.cancelled ?? [] };
}

/** A worker that drained in order. */
export async function endWorker(db: Db, incarnation: number): Promise<void> {
  await db`UPDATE workers SET ended_at = now() WHERE id = ${incarnation} AND ended_at IS NULL`;
}
