import type { Delivery } from '@flowstate/contracts';
import type { Db, Sql } from '../client.ts';
import type { Settles } from '../spending/settle.ts';
import { among } from './among.ts';
import { deliveryColumns } from './deliveries.ts';

/** A run its owner lets go of, with the last events it recorded: they say why, and come into force with it. */
export type Release = Settles & {
  runId: string;
  /** Incarnation that claimed the run. */
  owner: number;
  chunk: number;
  events: string;
};

export type ReleaseAnswer =
  | 'released'
  /** Something came into its inbox, or it was cancelled, before it could be let go of: it must not rest now. */
  | 'news'
  | 'lost';

/** The owner gives a run back unfinished (drain): ready at once, under a new job id. Null when it was not its owner. */
export async function handBackRun(db: Db, owner: number, runId: string): Promise<Delivery | null> {
  const [row] = await db<Delivery[]>`
    UPDATE run_live SET owner = NULL, state = 'queued', dispatch = dispatch + 1
    WHERE id = ${runId} AND owner = ${owner}
    RETURNING ${deliveryColumns(db, 'run_live')}`;
  return row ?? null;
}

/**
 * A run with nothing to do sleeps until somebody or some time wakes it. The row's lock decides between this and a
 * signal, a child's end or a cancel arriving at the same moment.
 * @param waiting `inbox`: entries its owner has seen; `wakeAt`: milliseconds of Postgres time, null: only news wake it
 */
export function suspendRun(
  db: Db,
  waiting: Release & { inbox: number; wakeAt: number | null },
): Promise<ReleaseAnswer> {
  const { inbox, wakeAt } = waiting;
  return letGo(db, waiting, {
    unless: db`inbox <> ${inbox} OR cancel`,
    // A capped run gives its place up: it leaves the index of those in flight, and is never due by itself.
    set: db`state = 'waiting', wake_at = to_timestamp(${wakeAt}::float8 / 1000),
            due_at = CASE WHEN l.capped THEN 'infinity'::timestamptz END`,
  });
}

/** A run that failed is put aside until its next try is due, unless somebody cancelled it. */
export function postponeRun(db: Db, failed: Release & { delayMs: number }): Promise<ReleaseAnswer> {
  const due = db`now() + ${failed.delayMs} * interval '1 millisecond'`;
  return letGo(db, failed, {
    unless: db`cancel`,
    set: db`state = 'queued', dispatch = l.dispatch + 1, ready_at = ${due}, due_at = ${due}`,
  });
}

/**
 * Only a person can decide how this run goes on, cancelled or not: it leaves the queue until somebody settles it. A
 * cancel waits for that.
 */
export function parkRun(db: Db, parked: Release): Promise<ReleaseAnswer> {
  return letGo(db, parked, { unless: db`false`, set: db`state = 'parked'` });
}

async function letGo(
  db: Db,
  { runId, owner, chunk, events }: Release,
  { unless, set }: Record<'unless' | 'set', ReturnType<Sql>>,
): Promise<ReleaseAnswer> {
  const [row] = await db<{ released: boolean }[]>`
    WITH mine AS (
      SELECT id, ${unless} AS news FROM run_live
      WHERE id = ${runId} AND owner = ${owner} AND chunk = ${chunk - 1} FOR UPDATE
    ),
    released AS (
      UPDATE run_live l SET owner = NULL, chunk = ${chunk}, ${set}
      FROM mine WHERE l.id = mine.id AND l.id = ${runId} AND NOT mine.news RETURNING l.id
    ),
    journal AS (INSERT INTO run_journal (run_id, chunk, events) SELECT id, ${chunk}, ${events} FROM released)
    SELECT EXISTS (SELECT FROM released) AS released FROM mine`;
  if (row === undefined) return 'lost';
  return row.released ? 'released' : 'news';
}

/**
 * Claims whose answer was lost: what of them took place is undone, and the feeder delivers those runs anew. One that is
 * still under way, though nobody waits for its answer, finds another dispatch than it began with, and takes nothing.
 */
export async function undoClaims(db: Db, owner: number, runIds: string[]): Promise<void> {
  const ids = runIds.toSorted();
  await db`
    WITH locked AS (SELECT id, owner, state FROM run_live WHERE id = ANY(${ids}::uuid[]) ORDER BY id FOR UPDATE)
    UPDATE run_live l SET owner = NULL, state = 'queued', dispatch = l.dispatch + 1, due_at = greatest(l.ready_at, now())
    FROM locked
    WHERE l.id = locked.id AND ${among(db, 'l', ids)}
      AND (locked.owner = ${owner} OR (locked.owner IS NULL AND locked.state = 'queued'))`;
}
