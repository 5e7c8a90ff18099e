import type { RunState } from '@flowstate/contracts';
import type { Db } from '../client.ts';

/** `cancel`: runs that live. `retry`: runs whose last attempt failed. */
export type BulkAction = 'cancel' | 'retry';

export type RunSelection = {
  workflow?: string | undefined;
  state?: RunState | undefined;
  tag?: string | undefined;
  scheduleId?: string | undefined;
  createdAfter?: string | undefined;
  createdBefore?: string | undefined;
  ids?: string[] | undefined;
  /** Only runs of this principal. */
  principalId?: string | undefined;
  /** Accepted up to this moment (of Postgres' clock, as text). */
  until: string;
};

/** Ids of up to `limit` runs after `after` that the action can change, in order. */
export async function selectRuns(
  db: Db,
  action: BulkAction,
  selection: RunSelection,
  { after, limit }: { after: string; limit: number },
): Promise<string[]> {
  const rows = await db<{ id: string }[]>`
    SELECT s.id ${candidates(db, action, selection)} AND s.id > ${after} ORDER BY s.id LIMIT ${limit}`;
  return rows.map(({ id }) => id);
}

/** How many runs the action could change now. */
export async function countSelectedRuns(db: Db, action: BulkAction, selection: RunSelection): Promise<number> {
  const [row] = await db<{ count: number }[]>`SELECT count(*) AS count ${candidates(db, action, selection)}`;
  return row?.count ?? 0;
}

/** States of those of `ids` that there are, of this principal if one is given. */
export async function statesOf(db: Db, ids: string[], principalId: string | undefined): Promise<Map<string, RunState>> {
  const rows = await db<{ id: string; state: RunState }[]>`
    SELECT r.id, coalesce(
      (SELECT l.state FROM run_live l WHERE l.id = r.id),
      (SELECT e.state FROM run_ends e WHERE e.id = r.id ORDER BY attempt DESC LIMIT 1)
    ) AS state
    FROM runs r
    WHERE r.id = ANY(${ids}::uuid[]) ${principalId === undefined ? db`` : db`AND r.principal_id = ${principalId}`}`;
  return new Map(rows.map(({ id, state }) => [id, state]));
}

/** The moment it is, for `until`. */
export async function momentOf(db: Db): Promise<string> {
  const [row] = await db<{ now: string }[]>`SELECT now()::text AS now`;
  return row?.now ?? '';
}

function candidates(db: Db, action: BulkAction, selection: RunSelection) {
  const { workflow, state, tag, scheduleId, createdAfter, createdBefore, ids, principalId, until } = selection;
  const failed = db`
    AND s.state = 'failed' AND NOT EXISTS (SELECT FROM run_live l WHERE l.id = s.id)
    AND NOT EXISTS (SELECT FROM run_ends later WHERE later.id = s.id AND later.attempt > s.attempt)`;
  return db`
    FROM ${db(action === 'cancel' ? 'run_live' : 'run_ends')} s
    JOIN runs r ON r.id = s.id JOIN workflows w ON w.id = r.workflow_id
    WHERE r.created_at <= ${until}::timestamptz
      ${action === 'retry' ? failed : db``}
      ${workflow === undefined ? db`` : db`AND w.name = ${workflow}`}
      ${state === undefined ? db`` : db`AND s.state = ${state}`}
      ${tag === undefined ? db`` : db`AND ${tag} = ANY(r.tags)`}
      ${scheduleId === undefined ? db`` : db`AND r.schedule_id = ${scheduleId}`}
      ${principalId === undefined ? db`` : db`AND r.principal_id = ${principalId}`}
      ${createdAfter === undefined ? db`` : db`AND r.created_at >= ${createdAfter}`}
      ${createdBefore === undefined ? db`` : db`AND r.created_at < ${createdBefore}`}
      ${ids === undefined ? db`` : db`AND s.id = ANY(${ids}::uuid[])`}`;
}
