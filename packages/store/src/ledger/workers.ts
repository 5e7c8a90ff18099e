import { advisoryLockClasses } from '../advisory-locks.ts';
import type { Db } from '../client.ts';
import type { Served } from '../scaling/live-workers.ts';

export type WorkerProcess = {
  host: string;
  pid: number;
  /** Hash of what it carries: workers with equal bundles can stand in for each other. */
  bundle: string;
  /** Ids of the workflow versions it can run. */
  carries: number[];
  /** Runs in hand at most, of each queue. */
  concurrency: number;
};

/** Registers a worker process under a number that is never used again. */
export async function registerWorker(db: Db, worker: WorkerProcess): Promise<number> {
  const [row] = await db<{ id: number }[]>`
    INSERT INTO workers (host, pid, bundle, carries, concurrency)
    VALUES (${worker.host}, ${worker.pid}, ${worker.bundle}, ${worker.carries}::int[], ${worker.concurrency}) RETURNING id`;
  if (row === undefined) throw new Error('INSERT … RETURNING gave no row');
  return row.id;
}

/**
 * Holds the worker's liveness lock for as long as this session lives; locking again in the same session does nothing.
 * False while an earlier session has it, which Postgres does not know to be gone: nobody may wait for that.
 */
export async function lockIncarnation(session: Db, incarnation: number): Promise<boolean> {
  const [row] = await session<{ held: boolean }[]>`
    SELECT CASE WHEN EXISTS (
      SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = ${advisoryLockClasses.workers} AND objid = ${incarnation}
        AND objsubid = 2 AND pid = pg_backend_pid()
    ) THEN true ELSE pg_try_advisory_lock(${advisoryLockClasses.workers}, ${incarnation}) END AS held`;
  return row?.held ?? false;
}

export type Heartbeat = {
  /** False when this incarnation was declared dead: everything it runs has a new owner, it must stop. */
  alive: boolean;
  /** Which of the held runs somebody wants cancelled. */
  cancelled: string[];
  /** Held runs with something in their inbox, and how many entries were ever put there. */
  inboxes: { runId: string; inbox: number }[];
  /** Held runs it owns no more: ended, taken by others or put in quarantine. */
  lost: string[];
  /** Policy epoch as of this answer. */
  epoch: number;
  /** Postgres time, in milliseconds. */
  now: number;
};

/** What a worker tells with its heartbeat. */
export type WorkerReport = {
  /** The epoch of an earlier answer, all of whose lost runs it has stopped. */
  obeyed?: number;
  /** Where this very instance can be asked. */
  url?: string | undefined;
  served?: Served;
};

/** One row per worker, none per run; the answer carries what the worker must hear. */
export async function beat(
  db: Db,
  incarnation: number,
  held: string[],
  { obeyed = 0, url, served = {} }: WorkerReport = {},
): Promise<Heartbeat> {
  type Row = Pick<Heartbeat, 'lost' | 'epoch' | 'now'> & {
    held: { runId: string; cancel: boolean; inbox: number }[] | null;
  };
  const [row] = await db<Row[]>`
    WITH beat AS (
      UPDATE workers SET heartbeat_at = now(), obeyed_epoch = greatest(obeyed_epoch, ${obeyed}),
        obeyed_at = CASE WHEN obeyed_epoch < ${obeyed} THEN clock_timestamp() ELSE obeyed_at END,
        url = ${url ?? null}, served = ${JSON.stringify(served)}::text::jsonb
      WHERE id = ${incarnation} AND ended_at IS NULL RETURNING id
    )
    SELECT extract(epoch FROM clock_timestamp()) * 1000 AS now, (
      SELECT json_agg(json_build_object('runId', id, 'cancel', cancel, 'inbox', inbox)) FROM run_live
      WHERE id = ANY(${held}::uuid[]) AND owner = ${incarnation} AND (cancel OR inbox > 0)
    ) AS held,
    ARRAY(
      SELECT h.id FROM unnest(${held}::uuid[]) AS h(id)
      WHERE NOT EXISTS (SELECT FROM run_live l WHERE l.id = h.id AND l.owner = ${incarnation})
    ) AS lost,
    p.epoch
    FROM beat, policy p`;
  const news = row?.held ?? [];
  return {
    alive: row !== undefined,
    cancelled: news.filter(({ cancel }) => cancel).map(({ runId }) => runId),
    inboxes: news.filter(({ inbox }) => inbox > 0).map(({ runId, inbox }) => ({ runId, inbox })),
    lost: row?.lost ?? [],
    epoch: row?.epoch ?? 0,
    now: row?.now ?? Date.now(),
  };
}

/** A worker that drained in order. */
export async function endWorker(db: Db, incarnation: number): Promise<void> {
  await db`UPDATE workers SET ended_at = now() WHERE id = ${incarnation} AND ended_at IS NULL`;
}

/** A set of live workers that carry the same workflow versions. */
export type Bundle = {
  bundle: string;
  carries: number[];
  /** Runs they take at a time, of each queue, all together. */
  concurrency: number;
};

/** Which workflow versions can be run right now, and by whom; the newest bundle first. */
export async function liveBundles(db: Db): Promise<Bundle[]> {
  return db<Bundle[]>`
    SELECT bundle, carries, sum(concurrency)::int AS concurrency FROM workers WHERE ended_at IS NULL
    GROUP BY bundle, carries ORDER BY max(id) DESC`;
}
