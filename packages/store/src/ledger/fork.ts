import {
  budgetSignal,
  FlowstateError,
  isUuid,
  type InboxEntry,
  type PayloadRef,
  type Role,
  type RunEvent,
} from '@flowstate/contracts';
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
 * question for an approval (what a person allows they allow that run, and once), or a child that is not over: its end
 * is told to that run alone.
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
  const news = await newsFor(db, past, fromStep);
  // Between its acceptance and its start, which is yet to come: whoever reads along meanwhile misses no number.
  const copied = past
    .filter(({ type }) => keptTypes.has(type))
    .map((event, index): RunEvent => ({ ...event, seq: index + 2 }));
  const refs = copied.flatMap(({ data }) => (data.outputRef as PayloadRef | undefined)?.ref ?? []);
  const [row] = await db<{ id: string }[]>`
    WITH live AS (
      INSERT INTO run_live (id, queue, priority, workflow_id, principal_id, concurrency_key, capped, ready_at, due_at,
                            chunk, seq_base, inbox)
      SELECT ${id}, w.queue, r.priority, r.workflow_id, ${principalId}, r.concurrency_key,
             true, -- until the feeder, who knows the caps of now, hands it over
             now(), now(), 1, ${copied.length}, ${news.length}
      FROM runs r JOIN workflows w ON w.id = r.workflow_id WHERE r.id = ${runId}
    ),
    journal AS (
      INSERT INTO run_journal (run_id, chunk, events) SELECT ${id}, 1, ${JSON.stringify(copied)} FROM runs WHERE id = ${runId}
    ),
    inbox AS (
      INSERT INTO run_inbox (run_id, kind, name, data) SELECT ${id}, n.kind, n.name, n.data
      FROM unnest(${news.map(({ kind }) => kind)}::text[], ${news.map(({ name }) => name)}::text[],
                  ${news.map(({ data }) => JSON.stringify(data))}::text[]) AS n(kind, name, data),
           runs WHERE runs.id = ${runId}
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

type News = Pick<InboxEntry, 'kind' | 'name' | 'data'>;

/** What the old run was still to be told and nobody would tell the new one: ends of children, and room in a budget. */
async function newsFor(db: Db, past: readonly RunEvent[], fromStep: string): Promise<News[]> {
  const named = (type: RunEvent['type']) => past.filter((event) => event.type === type).map(({ data }) => data);
  const over = new Set(named('wait.ended').map(({ name }) => name));
  const waits = named('wait.begun').filter(({ name }) => !over.has(name));
  // It may not have come to wait for one it had started.
  const started = named('step.completed').flatMap(({ name, output }) => {
    const [, child] = /^(.*)\.start$/.exec(name as string) ?? [];
    return child !== undefined && !over.has(`${child}.end`) && isUuid(String(output)) ? [output as string] : [];
  });
  const awaited = waits.flatMap(({ kind, child }) => (kind === 'child' ? [child as string] : []));
  const children = await db<{ id: string; state: string | null }[]>`
    SELECT c.id, e.state FROM unnest(${[...new Set([...started, ...awaited])]}::uuid[]) AS c(id)
    LEFT JOIN LATERAL (
      SELECT state FROM run_ends e WHERE e.id = c.id AND NOT EXISTS (SELECT FROM run_live l WHERE l.id = c.id)
      ORDER BY attempt DESC LIMIT 1
    ) e ON true
    WHERE c.id = ANY(${awaited}::uuid[]) OR EXISTS (SELECT FROM runs r WHERE r.id = c.id AND r.parent_id IS NOT NULL)`;
  const left = children.find(({ state }) => state === null);
  if (left !== undefined) {
    const message = `${fromStep} comes after the start of the child run ${left.id}, which is not over: fork before that, or then`;
    throw new FlowstateError('conflict', message);
  }
  const paused = waits.some(({ kind, signal }) => kind === 'signal' && signal === budgetSignal);
  return [
    ...children.map(({ id, state }): News => ({ kind: 'child', name: id, data: { state } })),
    ...(paused ? [{ kind: 'signal', name: budgetSignal, data: null } as const] : []),
  ];
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
