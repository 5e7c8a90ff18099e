import type { Delivery, RunError, RunEvent } from '@flowstate/contracts';
import type { Db, Sql } from '../client.ts';
import { deliveryColumns } from './deliveries.ts';
import { endings } from './endings.ts';

/** A run that ended without an owner: its terminal event, the job to withdraw, and parents to deliver. */
export type EndedRun = { state: 'cancelled' | 'failed'; seq: number; delivery: Delivery; woken: Delivery[] };

export type CancelAnswer =
  /** Nobody ran it: it is cancelled now. */
  | ({ outcome: 'cancelled' } & EndedRun)
  /** Its owner was told and will end it. */
  | { outcome: 'requested' }
  | { outcome: 'not-live' };

/** Cancels a run nobody owns at once; asks the owner of a running one to stop. */
export async function cancelRun(db: Db, runId: string): Promise<CancelAnswer> {
  const ended = await endUnowned(db, runId, { state: 'cancelled', error: null, where: db`true` });
  if (ended) return { outcome: 'cancelled', ...ended };
  const asked = await db`UPDATE run_live SET cancel = true WHERE id = ${runId} AND owner IS NOT NULL RETURNING id`;
  return asked.length === 1 ? { outcome: 'requested' } : { outcome: 'not-live' };
}

/** A person gives a parked run up: it ends as failed. Null unless it is parked. */
export async function abandonRun(db: Db, runId: string, by: string): Promise<EndedRun | null> {
  const error: RunError = { code: 'abandoned', message: `Given up while parked, by ${by}` };
  return endUnowned(db, runId, { state: 'failed', error, where: db`state = 'parked'` });
}

/** Ends a run that no worker holds, if it is as `where` says. */
async function endUnowned(
  db: Db,
  runId: string,
  { state, error, where }: { state: EndedRun['state']; error: RunError | null; where: ReturnType<Sql> },
): Promise<EndedRun | null> {
  const rows = await db<{ seq: number | null; delivery: Delivery }[]>`
    WITH gone AS (DELETE FROM run_live WHERE id = ${runId} AND owner IS NULL AND ${where} RETURNING *),
    ended AS (
      SELECT id, attempt, ${state} AS state, started_at, seq_base, chunk, '[]' AS events, NULL AS output,
        ${error === null ? null : JSON.stringify(error)}::text AS error, webhook, parent_id,
        queue, priority, dispatch, workflow_id, crashes,
        -- The terminal event follows whatever was recorded; a run that never started has only been accepted.
        greatest(
          seq_base + CASE WHEN started_at IS NULL THEN 1 ELSE 2 END,
          (SELECT max((e->>'seq')::int) FROM run_journal j, json_array_elements(j.events::json) e WHERE j.run_id = gone.id)
        ) + 1 AS last_seq
      FROM gone
    ),
    ${endings(db)}
    SELECT l.last_seq AS seq, to_json(d) AS delivery
    FROM ended l, LATERAL (SELECT ${deliveryColumns(db, 'l')}) d
    UNION ALL SELECT NULL, to_json(woken) FROM woken WHERE deliver`;
  const ended = rows.find(({ seq }) => seq !== null);
  if (ended === undefined) return null;
  const woken = rows.filter(({ seq }) => seq === null).map(({ delivery }) => delivery);
  return { state, seq: ended.seq as number, delivery: ended.delivery, woken };
}

/** Runs that a live run started as its children and that are live themselves. */
async function liveChildren(db: Db, runId: string): Promise<string[]> {
  const rows = await db<{ id: string }[]>`
    SELECT r.id FROM runs r JOIN run_live l ON l.id = r.id WHERE r.parent_id = ${runId} ORDER BY r.id`;
  return rows.map(({ id }) => id);
}

/** Cancels a run and whatever it started; `live` is false when it was over. */
export async function cancelTree(db: Db, runId: string): Promise<{ live: boolean; ended: EndedRun[] }> {
  const children = await liveChildren(db, runId);
  const answer = await cancelRun(db, runId);
  const ended: EndedRun[] = answer.outcome === 'cancelled' ? [answer] : [];
  for (const child of children) ended.push(...(await cancelTree(db, child)).ended);
  return { live: answer.outcome !== 'not-live', ended };
}

/**
 * Starts a failed run's next attempt: everything it finished stays finished, its failed step runs again. It stands in
 * the ledger's line at once. False unless the run's last attempt failed.
 */
export async function retryRun(db: Db, runId: string, by: string): Promise<boolean> {
  const [last] = await db<{ attempt: number; chunk: number; last_seq: number; events: string }[]>`
    SELECT attempt, chunk, last_seq, events FROM run_ends
    WHERE id = ${runId} AND state = 'failed' AND attempt = (SELECT max(attempt) FROM run_ends WHERE id = ${runId})`;
  if (last === undefined) return false;
  const retried: RunEvent = {
    seq: last.last_seq + 1,
    type: 'run.retried',
    at: new Date().toISOString(),
    data: { attempt: last.attempt + 1, by },
  };
  const events = JSON.stringify([...(JSON.parse(last.events) as RunEvent[]), retried]);
  const rows = await db`
    WITH live AS (
      INSERT INTO run_live (id, queue, priority, workflow_id, principal_id, parent_id, concurrency_key, capped, webhook,
                            schedule_id, ready_at, due_at, attempt, chunk, seq_base, dispatch)
      SELECT r.id, w.queue, r.priority, r.workflow_id, r.principal_id, r.parent_id, r.concurrency_key,
             true, -- until the feeder, who knows the caps of now, hands it over
             r.webhook_url IS NOT NULL, r.schedule_id, now(), now(), ${last.attempt + 1}, ${last.chunk + 1}, ${last.last_seq},
             -- Job ids of earlier attempts are used up; dispatch counts within an attempt.
             ${last.attempt * 1_000_000}
      FROM runs r JOIN workflows w ON w.id = r.workflow_id WHERE r.id = ${runId}
      ON CONFLICT (id) DO NOTHING
      RETURNING id, chunk
    )
    INSERT INTO run_journal (run_id, chunk, events) SELECT id, chunk, ${events} FROM live RETURNING run_id`;
  return rows.length === 1;
}
