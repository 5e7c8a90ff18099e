import { FlowstateError, type PayloadRef, type Role, type RunEvent } from '@flowstate/contracts';
import { activeTraceparent } from '@flowstate/tracing';
import type { Db } from '../client.ts';
import { readEvents } from './read.ts';

export type Fork = {
  runId: string;
  /** Runs again in the new run, and so does everything that ended after it began. */
  fromStep: string;
  /** Of the new run. */
  id: string;
  principalId: string;
  role: Role;
};

/**
 * A new run of the same version and input that starts with what the old one had on record when `fromStep` first
 * began. Returns the new run's id; null when the old one has no such step. Throws `conflict` when that includes a
 * question for an approval: what a person allows they allow that run, and once.
 */
export async function forkRun(db: Db, { runId, fromStep, id, principalId, role }: Fork): Promise<string | null> {
  const events = await readEvents(db, runId);
  const begun = events.findIndex(({ type, data }) => type.startsWith('step.') && data.name === fromStep);
  if (begun === -1) return null;
  const past = events.slice(0, begun);
  if (past.some(({ type, data }) => type === 'wait.begun' && data.approval === true)) {
    throw new FlowstateError(
      'conflict',
      `${fromStep} comes after an approval, which is for that run alone: fork before it`,
    );
  }
  // Between its acceptance and its start, which is yet to come: whoever reads along meanwhile misses no number.
  const copied = past
    .filter(({ type }) => keptTypes.has(type))
    .map((event, index): RunEvent => ({ ...event, seq: index + 2 }));
  const refs = copied.flatMap(({ data }) => (data.outputRef as PayloadRef | undefined)?.ref ?? []);
  const [row] = await db<{ id: string }[]>`
    WITH live AS (
      INSERT INTO run_live (id, queue, priority, workflow_id, principal_id, concurrency_key, capped, ready_at, due_at,
                            chunk, seq_base)
      SELECT ${id}, w.queue, r.priority, r.workflow_id, ${principalId}, r.concurrency_key,
             true, -- until the feeder, who knows the caps of now, hands it over
             now(), now(), 1, ${copied.length}
      FROM runs r JOIN workflows w ON w.id = r.workflow_id WHERE r.id = ${runId}
    ),
    journal AS (
      INSERT INTO run_journal (run_id, chunk, events) SELECT ${id}, 1, ${JSON.stringify(copied)} FROM runs WHERE id = ${runId}
    ),
    payloads AS (
      INSERT INTO run_payloads (run_id, hash, bytes, data)
      SELECT ${id}, hash, bytes, data FROM run_payloads WHERE run_id = ${runId} AND hash = ANY(${refs}::text[])
    )
    INSERT INTO runs (id, workflow_id, principal_id, role, priority, tags, input, trace, concurrency_key)
    SELECT ${id}, workflow_id, ${principalId}, ${role}, priority, tags, input, ${activeTraceparent() ?? null}, concurrency_key
    FROM runs WHERE id = ${runId} RETURNING id`;
  return row?.id ?? null;
}

const keptTypes = new Set<RunEvent['type']>([
  'step.completed',
  'step.failed',
  'run.retried',
  'run.resolved',
  'value.recorded',
  'wait.begun',
  'wait.ended',
]);
