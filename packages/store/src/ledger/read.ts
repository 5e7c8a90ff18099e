import type { QueueName, Run, RunError, RunEvent, RunState } from '@flowstate/contracts';
import type { Db } from '../client.ts';

/** A run with what the API does not show but access checks need. */
export type StoredRun = Run & { principalId: string; queue: QueueName; dispatch: number };

type Row = {
  id: string;
  workflow: string;
  version: string;
  queue: QueueName;
  principal_id: string;
  state: RunState;
  input: string;
  output: string | null;
  output_ref: string | null;
  output_bytes: number | null;
  error: string | null;
  priority: number;
  tags: string[];
  attempt: number;
  dispatch: number;
  created_at: Date;
  started_at: Date | null;
  finished_at: Date | null;
  trace: string | null;
  schedule_id: string | null;
};

export type RunFilter = {
  workflow?: string | undefined;
  state?: RunState | undefined;
  tag?: string | undefined;
  principalId?: string | undefined;
  scheduleId?: string | undefined;
  createdAfter?: string | undefined;
  createdBefore?: string | undefined;
  /** Runs older than this id. */
  before?: string | undefined;
  limit: number;
};

export async function readRun(db: Db, id: string): Promise<StoredRun | null> {
  const [row] = await db<Row[]>`${runColumns(db, { large: true })} WHERE r.id = ${id}`;
  if (row === undefined) return null;
  const run = toRun(row);
  return run.state === 'parked' ? { ...run, error: await whyParked(db, id) } : run;
}

/** What a person must decide before a parked run goes on. */
async function whyParked(db: Db, id: string): Promise<RunError | null> {
  const parked = (await readEvents(db, id)).findLast(({ type }) => type === 'run.parked');
  if (parked === undefined) return null;
  const { reason, step } = parked.data as { reason: string; step: string };
  return { code: 'parked', message: reason, ...(step !== '' && { step }) };
}

/** The run as it was when that attempt ended, a large output by reference; null when it has not. */
export async function readEndedRun(db: Db, id: string, attempt: number): Promise<StoredRun | null> {
  const [row] = await db<Row[]>`${runColumns(db, { large: false, attempt })} WHERE r.id = ${id} AND e.id IS NOT NULL`;
  return row ? toRun(row) : null;
}

/** Newest first; a large output is shown by reference. */
export async function listRuns(db: Db, filter: RunFilter): Promise<StoredRun[]> {
  const { workflow, state, tag, principalId, scheduleId, createdAfter, createdBefore, before, limit } = filter;
  const rows = await db<Row[]>`
    ${runColumns(db, { large: false })}
    WHERE true
      ${workflow === undefined ? db`` : db`AND w.name = ${workflow}`}
      ${state === undefined ? db`` : db`AND coalesce(l.state, e.state) = ${state}`}
      ${tag === undefined ? db`` : db`AND ${tag} = ANY(r.tags)`}
      ${principalId === undefined ? db`` : db`AND r.principal_id = ${principalId}`}
      ${scheduleId === undefined ? db`` : db`AND r.schedule_id = ${scheduleId}`}
      ${createdAfter === undefined ? db`` : db`AND r.created_at >= ${createdAfter}`}
      ${createdBefore === undefined ? db`` : db`AND r.created_at < ${createdBefore}`}
      ${before === undefined ? db`` : db`AND r.id < ${before}`}
    ORDER BY r.id DESC LIMIT ${limit}`;
  return rows.map(toRun);
}

/**
 * The run as it is now: its live row, else its last end. With `attempt`: the run as that attempt ended. With its output
 * however `large`, or by reference.
 */
function runColumns(db: Db, { large, attempt }: { large: boolean; attempt?: number }) {
  return db`
    SELECT r.id, w.name AS workflow, w.version, w.queue, r.principal_id, coalesce(l.state, e.state) AS state, r.input,
           ${large ? db`coalesce(e.output, p.data)` : db`e.output`} AS output, e.output_ref, p.bytes AS output_bytes,
           e.error, r.priority, r.tags, coalesce(l.attempt, e.attempt) AS attempt,
           coalesce(l.dispatch, 0) AS dispatch, r.created_at, coalesce(l.started_at, e.started_at) AS started_at,
           e.finished_at, r.trace, r.schedule_id
    FROM runs r
    JOIN workflows w ON w.id = r.workflow_id
    LEFT JOIN run_live l ON l.id = r.id ${attempt === undefined ? db`` : db`AND false`}
    LEFT JOIN LATERAL (
      SELECT * FROM run_ends e
      WHERE e.id = r.id AND l.id IS NULL ${attempt === undefined ? db`` : db`AND attempt = ${attempt}`}
      ORDER BY attempt DESC LIMIT 1
    ) e ON true
    LEFT JOIN run_payloads p ON p.run_id = r.id AND p.hash = e.output_ref`;
}

function toRun(row: Row): StoredRun {
  return {
    id: row.id,
    workflow: row.workflow,
    version: row.version,
    queue: row.queue,
    principalId: row.principal_id,
    state: row.state,
    input: JSON.parse(row.input),
    output: outputOf(row),
    error: row.error === null ? null : (JSON.parse(row.error) as RunError),
    priority: row.priority,
    tags: row.tags,
    attempt: row.attempt,
    dispatch: row.dispatch,
    createdAt: row.created_at.toISOString(),
    startedAt: row.started_at?.toISOString() ?? null,
    finishedAt: row.finished_at?.toISOString() ?? null,
    traceId: row.trace?.split('-')[1] ?? null,
    scheduleId: row.schedule_id,
  };
}

function outputOf({ output, output_ref: ref, output_bytes: bytes }: Row): unknown {
  if (output !== null) return JSON.parse(output);
  return ref === null || bytes === null ? null : { ref, bytes };
}

type EventRows = {
  created_at: Date;
  workflow: string;
  live: { started_at: string | null; seq_base: number } | null;
  ends:
    | {
        state: 'completed' | 'failed' | 'cancelled';
        attempt: number;
        started_at: string | null;
        finished_at: string;
        seq_base: number;
        last_seq: number;
        events: string;
        error: string | null;
      }[]
    | null;
  chunks: string[] | null;
};

/**
 * All recorded events of a run in order. Accepted, started and terminal are derived from the run's own rows, step
 * events stand in its journal and in its ends.
 */
export async function readEvents(db: Db, id: string): Promise<RunEvent[]> {
  const [row] = await db<EventRows[]>`
    SELECT r.created_at, w.name AS workflow,
      (SELECT to_jsonb(l) FROM run_live l WHERE l.id = r.id) AS live,
      (SELECT jsonb_agg(to_jsonb(e) - 'output' ORDER BY attempt) FROM run_ends e WHERE e.id = r.id) AS ends,
      (SELECT array_agg(j.events ORDER BY chunk) FROM run_journal j WHERE j.run_id = r.id) AS chunks
    FROM runs r JOIN workflows w ON w.id = r.workflow_id WHERE r.id = ${id}`;
  if (row === undefined) return [];
  const events: RunEvent[] = [
    { seq: 1, type: 'run.accepted', at: row.created_at.toISOString(), data: { workflow: row.workflow } },
  ];
  for (const { started_at: at, seq_base: base } of [...(row.ends ?? []), ...(row.live ? [row.live] : [])]) {
    if (at !== null) events.push({ seq: base + 2, type: 'run.started', at: new Date(at).toISOString(), data: {} });
  }
  for (const chunk of [...(row.chunks ?? []), ...(row.ends ?? []).map((end) => end.events)]) {
    events.push(...(JSON.parse(chunk) as RunEvent[]));
  }
  for (const end of row.ends ?? []) {
    events.push({
      seq: end.last_seq,
      type: `run.${end.state}`,
      at: new Date(end.finished_at).toISOString(),
      data: { attempt: end.attempt, ...(end.error !== null && { error: withoutStack(end.error) }) },
    });
  }
  // A retried attempt's journal repeats what its end already told.
  return [...new Map(events.map((event) => [event.seq, event])).values()].toSorted((a, b) => a.seq - b.seq);
}

function withoutStack(json: string): Omit<RunError, 'stack'> {
  const { stack: _stack, ...error } = JSON.parse(json) as RunError;
  return error;
}
