import type { RunEvent } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import type { Delivery } from './release.ts';

export type CancelAnswer =
  /** Nobody ran it: it is cancelled now. */
  | { outcome: 'cancelled'; seq: number; dispatch: number; queue: string }
  /** Its owner was told and will end it. */
  | { outcome: 'requested' }
  | { outcome: 'not-live' };

/** Cancels a run nobody owns at once; asks the owner of a running one to stop. */
export async function cancelRun(db: Db, runId: string): Promise<CancelAnswer> {
  const [ended] = await db<{ seq: number; dispatch: number; queue: string }[]>`
    WITH ended AS (DELETE FROM run_live WHERE id = ${runId} AND owner IS NULL RETURNING *),
    -- The terminal event follows whatever was recorded; a run that never started has only been accepted.
    seqs AS (
      SELECT greatest(
        ended.seq_base + CASE WHEN ended.started_at IS NULL THEN 1 ELSE 2 END,
        (SELECT max((e->>'seq')::int) FROM run_journal j, json_array_elements(j.events::json) e WHERE j.run_id = ended.id)
      ) + 1 AS last_seq FROM ended
    ),
    terminal AS (
      INSERT INTO run_ends (id, attempt, state, started_at, seq_base, last_seq, chunk, events)
      SELECT id, attempt, 'cancelled', started_at, seq_base, last_seq, chunk, '[]' FROM ended, seqs
    )
    SELECT last_seq AS seq, dispatch, queue FROM ended, seqs`;
  if (ended) return { outcome: 'cancelled', ...ended };
  const asked = await db`UPDATE run_live SET cancel = true WHERE id = ${runId} AND owner IS NOT NULL RETURNING id`;
  return asked.length === 1 ? { outcome: 'requested' } : { outcome: 'not-live' };
}

/**
 * Starts a failed run's next attempt: everything it finished stays finished, its failed step runs again. Null unless
 * the run's last attempt failed.
 */
export async function retryRun(db: Db, runId: string, by: string): Promise<Delivery | null> {
  const [last] = await db<{ attempt: number; chunk: number; last_seq: number; events: string }[]>`
    SELECT attempt, chunk, last_seq, events FROM run_ends
    WHERE id = ${runId} AND state = 'failed' AND attempt = (SELECT max(attempt) FROM run_ends WHERE id = ${runId})`;
  if (last === undefined) return null;
  const retried: RunEvent = {
    seq: last.last_seq + 1,
    type: 'run.retried',
    at: new Date().toISOString(),
    data: { attempt: last.attempt + 1, by },
  };
  const events = JSON.stringify([...(JSON.parse(last.events) as RunEvent[]), retried]);
  const [row] = await db<Delivery[]>`
    WITH live AS (
      INSERT INTO run_live (id, queue, priority, ready_at, attempt, chunk, seq_base, dispatch)
      SELECT r.id, w.queue, r.priority, now(), ${last.attempt + 1}, ${last.chunk + 1}, ${last.last_seq},
             -- Job ids of earlier attempts are used up; dispatch counts within an attempt.
             ${last.attempt * 1_000_000}
      FROM runs r JOIN workflows w ON w.id = r.workflow_id WHERE r.id = ${runId}
      ON CONFLICT (id) DO NOTHING
      RETURNING id, queue, priority, dispatch, chunk
    ),
    journal AS (INSERT INTO run_journal (run_id, chunk, events) SELECT id, chunk, ${events} FROM live)
    SELECT id AS "runId", queue, priority, dispatch FROM live`;
  return row ?? null;
}
