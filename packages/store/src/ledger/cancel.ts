import { expiredError, type RunError } from '@flowstate/contracts';
import type { Db, Sql } from '../client.ts';
import { among } from './among.ts';
import { endUnowned, type Ended } from './end-unowned.ts';
import { inDoubt } from './in-doubt.ts';

/** Nobody ran the `ended`: they are cancelled now. Owners of the `requested` were told, or will be, and end them. */
export type Cancelled = Ended & { requested: string[] };

type Why = { error: RunError | null; where: ReturnType<Sql> };

/** A run handed back by its owner between two looks is looked at again. */
const looks = 3;

/** Cancels runs, and whatever they started as their children. Runs that are over are left out of the answer. */
export function cancelRuns(db: Db, ids: string[]): Promise<Cancelled> {
  return cancelTrees(db, ids, { error: null, where: db`true` });
}

/**
 * Cancels up to `limit` live runs whose time to live is over, and their children. A parked run is left to the person
 * it waits for: its effect in doubt must not be settled by a clock. So is a quarantined one.
 */
export async function cancelExpiredRuns(db: Db, limit: number): Promise<Cancelled> {
  const rows = await db<{ id: string }[]>`
    SELECT id FROM run_live WHERE expires_at <= now() AND state NOT IN ('parked', 'quarantined') AND (NOT cancel OR (owner IS NULL AND NOT ${inDoubt(db)}))
    ORDER BY expires_at LIMIT ${limit}`;
  const ids = rows.map(({ id }) => id);
  return cancelTrees(db, ids, {
    error: expiredError,
    where: db`expires_at <= now() AND state NOT IN ('parked', 'quarantined')`,
  });
}

/**
 * Cancels up to `limit` live children of cancelled runs: whoever cancelled those was lost before it came to them. One
 * that a person has retried since goes on.
 */
export async function cancelOrphans(db: Db, limit: number): Promise<Cancelled> {
  const rows = await db<{ id: string }[]>`
    SELECT l.id FROM run_live l
    WHERE l.parent_id IS NOT NULL AND l.attempt = 1 AND NOT l.cancel
      AND NOT EXISTS (SELECT FROM run_live p WHERE p.id = l.parent_id)
      AND (SELECT e.state FROM run_ends e WHERE e.id = l.parent_id ORDER BY e.attempt DESC LIMIT 1) = 'cancelled'
    ORDER BY l.id LIMIT ${limit}`;
  return cancelRuns(
    db,
    rows.map(({ id }) => id),
  );
}

/** Level by level: parents first, so that none starts another child meanwhile. */
async function cancelTrees(db: Db, ids: string[], why: Why): Promise<Cancelled> {
  const all: Cancelled = { ended: [], woken: [], requested: [] };
  for (let level = ids, because = why; level.length > 0; because = { error: null, where: db`true` }) {
    const changed: string[] = [];
    for (const group of await groupsOf(db, level)) {
      const { ended, woken, requested } = await cancelGroup(db, group, because);
      all.ended.push(...ended);
      all.woken.push(...woken);
      all.requested.push(...requested);
      changed.push(...ended.map(({ delivery }) => delivery.runId), ...requested);
    }
    level = await liveChildren(db, changed);
  }
  return all;
}

/** Runs without a parent together; the others, whose end locks their parent's row, one by one. */
async function groupsOf(db: Db, ids: string[]): Promise<string[][]> {
  const rows = await db<{ id: string; root: boolean }[]>`
    SELECT id, parent_id IS NULL AS root FROM run_live WHERE id = ANY(${ids}::uuid[]) ORDER BY id`;
  const roots = rows.filter(({ root }) => root).map(({ id }) => id);
  return [...(roots.length > 0 ? [roots] : []), ...rows.filter(({ root }) => !root).map(({ id }) => [id])];
}

async function cancelGroup(db: Db, group: string[], { error, where }: Why): Promise<Cancelled> {
  const all: Cancelled = { ended: [], woken: [], requested: [] };
  let left = group;
  for (let look = 0; look < looks && left.length > 0; look++) {
    const { ended, woken } = await endUnowned(db, left, {
      state: 'cancelled',
      error,
      where: db`${where} AND NOT ${inDoubt(db)}`,
    });
    const asked = await db<{ id: string }[]>`
      WITH told AS (
        SELECT id FROM run_live
        WHERE id = ANY(${left}::uuid[]) AND (owner IS NOT NULL OR ${inDoubt(db)}) AND ${where} ORDER BY id FOR UPDATE
      )
      UPDATE run_live l SET cancel = true FROM told
      WHERE l.id = told.id AND ${among(db, 'l', left)} RETURNING l.id`;
    all.ended.push(...ended);
    all.woken.push(...woken);
    all.requested.push(...asked.map(({ id }) => id));
    const done = new Set([...ended.map(({ delivery }) => delivery.runId), ...asked.map(({ id }) => id)]);
    left = left.filter((id) => !done.has(id));
  }
  return all;
}

/** Live runs that any of these started as its child. */
async function liveChildren(db: Db, ids: string[]): Promise<string[]> {
  const rows = await db<{ id: string }[]>`
    SELECT r.id FROM runs r JOIN run_live l ON l.id = r.id WHERE r.parent_id = ANY(${ids}::uuid[]) ORDER BY r.id`;
  return rows.map(({ id }) => id);
}
