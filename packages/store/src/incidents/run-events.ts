import type { IncidentEvent, RunError } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { readEvents } from '../ledger/read.ts';

type Window = { from: string; to: string; principalId?: string | undefined; maxRuns?: number };
/** An export is about an incident, not about everything; more is for the database itself. */
export const mostRunsExported = 5_000;

type Touched = { id: string; principal: string; workflow: string };

/**
 * What happened to runs from `from` to `to`, run by run, the newest first: those accepted then, those that ended then
 * and were not more than a day old before, and those that live. At most `maxRuns` runs.
 */
export async function* exportRunEvents(
  db: Db,
  { from, to, principalId, maxRuns = mostRunsExported }: Window,
): AsyncGenerator<IncidentEvent[]> {
  for (const { id, principal, workflow } of await touchedRuns(db, { from, to, principalId, maxRuns })) {
    const events = (await readEvents(db, id)).filter(({ at }) => at >= from && at < to);
    yield events.map(({ at, type, seq, data }) => ({ at, type, run: id, workflow, principal, seq, data: brief(data) }));
  }
}

async function touchedRuns(db: Db, { from, to, principalId, maxRuns }: Required<Window>): Promise<Touched[]> {
  return db<Touched[]>`
    SELECT r.id, r.principal_id AS principal, w.name AS workflow
    FROM (
      SELECT id FROM runs WHERE id >= uuidv7_floor(${from}::timestamptz) AND id < uuidv7_floor(${to}::timestamptz)
      UNION SELECT id FROM run_ends
        WHERE id >= uuidv7_floor(${from}::timestamptz - interval '1 day') AND finished_at >= ${from} AND finished_at < ${to}
      UNION SELECT id FROM run_live
    ) t
    JOIN runs r ON r.id = t.id JOIN workflows w ON w.id = r.workflow_id
    WHERE r.created_at < ${to} ${principalId === undefined ? db`` : db`AND r.principal_id = ${principalId}`}
    ORDER BY r.id DESC LIMIT ${maxRuns}`;
}

/** What tells the course of a run; never its input, results or signals' content. */
function brief({ name, attempt, reason, workflow, error }: Record<string, unknown>): Record<string, unknown> {
  const { code, message } = (error ?? {}) as Partial<RunError>;
  return {
    ...(name !== undefined && { name }),
    ...(attempt !== undefined && { attempt }),
    ...(reason !== undefined && { reason }),
    ...(workflow !== undefined && { workflow }),
    ...(code !== undefined && { error: { code, message: message?.slice(0, 200) } }),
  };
}
