import { checkNumbers, FlowstateError, maxInputBytes, type Principal, type RunState } from '@flowstate/contracts';
import type { RunQueues } from '@flowstate/queue';
import {
  acceptKeyedRun,
  acceptRuns,
  acceptedUnderKey,
  createBatcher,
  holdParent,
  type Acceptance,
  type AcceptedRun,
  type Db,
  type IdempotencyKey,
  type LaneOf,
  type Sql,
  type StoredRun,
} from '@flowstate/store';
import { v7 as uuidv7 } from 'uuid';
import type { Admission } from './admission.ts';
import type { Deliver } from './deliver-committed.ts';
import { checkEntityReferences, type EntityLookup } from './entity-references.ts';
import { toIdempotencyKey, type GivenKey } from './idempotency-key.ts';
import type { WebhookUrlCheck } from './webhook-url.ts';
import type { WorkflowCatalogue } from './workflow-catalogue.ts';

export type StartRun = {
  workflow: string;
  /** Default: the newest. */
  version?: string;
  input: unknown;
  principal: Principal;
  priority?: number;
  delayMs?: number;
  tags?: string[];
  ttlMs?: number;
  /** Told when the run ends. */
  webhookUrl?: string;
  concurrencyKey?: string;
  /** The run that starts it as its child. */
  parentId?: string;
  /** A replay with the same body answers the same run. */
  idempotency?: GivenKey;
  traceparent?: string;
  /** Incarnation of the worker that asked for the run and begins it at once, without the queue. */
  owner?: number;
};

export type AcceptOptions = {
  sql: Sql;
  queues: Pick<RunQueues, 'ready'>;
  laneOf: LaneOf;
  deliver: Deliver;
  catalogue: WorkflowCatalogue;
  admission: Admission;
  entities: EntityLookup;
  webhookUrl: WebhookUrlCheck;
};

/** The run as it was committed; or, of a request that came before, the id of its run. */
export type AcceptRun = (request: StartRun) => Promise<{ run: StoredRun } | { replayed: string }>;

type Committed = { run: Acceptance; replayed: boolean };

/** Takes runs: checks one, commits it in the ledger, then tells the queue. */
export function createAcceptRun(options: AcceptOptions): AcceptRun {
  const { sql, queues, laneOf, deliver, catalogue, admission, entities, webhookUrl } = options;
  const accepts = createBatcher<AcceptedRun, Acceptance>({
    flush: (runs) => acceptRuns(sql, runs),
    summary: 'INSERT run_live INSERT runs',
    lanes: 4,
    sizeOf: (run) => run.input.length,
  });

  async function accept(request: StartRun): ReturnType<AcceptRun> {
    const { principal } = request;
    const workflow = await catalogue.get(request.workflow, request.version);
    const input = workflow.checkInput(request.input);
    checkNumbers(input, 'input');
    await checkEntityReferences(workflow.input, input, principal.role, entities);
    const json = JSON.stringify(input);
    if (Buffer.byteLength(json) > maxInputBytes)
      throw new FlowstateError('payload_too_large', `input is over ${maxInputBytes} bytes`);
    const parentId = parentOf(request);
    const concurrencyKey = request.concurrencyKey ?? null;
    const capped = admission.capped({ principal, workflow, concurrencyKey });
    const accepted: AcceptedRun = {
      id: uuidv7(),
      workflowId: workflow.id,
      queue: workflow.queue,
      principalId: principal.id,
      role: principal.role,
      priority: request.priority ?? 5,
      tags: request.tags ?? [],
      input: json,
      webhookUrl: request.webhookUrl === undefined ? null : webhookUrl(request.webhookUrl),
      trace: request.traceparent ?? null,
      delayMs: request.delayMs ?? 0,
      owner: request.owner ?? null,
      parentId,
      concurrencyKey,
      capped,
      ttlMs: request.ttlMs ?? null,
      epoch: principal.epoch ?? null,
    };
    const key = request.idempotency === undefined ? null : toIdempotencyKey(request.idempotency);
    await admit(accepted, principal, key);
    // Straight to the queue when that can take it now; else it stands in the ledger's line, which the controller feeds.
    accepted.direct =
      accepted.delayMs === 0 &&
      accepted.owner === null &&
      !capped &&
      queues.ready() &&
      laneOf({ workflowId: workflow.id, suspect: false }) !== null &&
      admission.mayGoDirect(workflow.queue, principal.id);
    let createdAt: Date | null = null;
    try {
      const { run, replayed } = await commit(accepted, key);
      if (replayed) return { replayed: run.id };
      ({ createdAt } = run);
      afterAccept(accepted);
      return { run: asRun(accepted, workflow, input, run) };
    } finally {
      admission.settled(principal, accepted.id, createdAt);
    }
  }

  /** Refuses the run of a principal with too many, but never a replay, which is none. */
  async function admit(run: AcceptedRun, principal: Principal, key: IdempotencyKey | null): Promise<void> {
    // A run that was accepted may start its children: refusing them would only keep it from ending.
    if (run.parentId !== null) return;
    const refusal = await admission.refusal(principal, run.id);
    if (refusal === null || (key !== null && (await acceptedUnderKey(sql, principal.id, key)))) return;
    throw refusal;
  }

  async function commit(run: AcceptedRun, key: IdempotencyKey | null): Promise<Committed> {
    const { parentId = null } = run;
    if (parentId !== null) return sql.begin((tx) => commitChild(tx, { ...run, parentId }, key));
    if (key === null) return { run: await accepts.add(run), replayed: false };
    return commitKeyed(sql, run, key);
  }

  async function commitChild(
    tx: Db,
    run: AcceptedRun & { parentId: string },
    key: IdempotencyKey | null,
  ): Promise<Committed> {
    if (!(await holdParent(tx, run.parentId))) {
      throw new FlowstateError('conflict', 'The run is over or being cancelled: it starts no child');
    }
    if (key !== null) return commitKeyed(tx, run, key);
    const [child] = await acceptRuns(tx, [run]);
    if (child === undefined) throw new Error('nothing was accepted');
    return { run: child, replayed: false };
  }

  async function commitKeyed(db: Db, run: AcceptedRun, key: IdempotencyKey): Promise<Committed> {
    const answer = await acceptKeyedRun(db, run, key);
    if (!('conflict' in answer)) return answer;
    throw new FlowstateError('conflict', 'This Idempotency-Key was used with another body', {
      errors: [{ field: 'idempotency-key', message: 'was used with another body' }],
    });
  }

  /** The run is accepted whether Redis takes its job now or not: the answer does not wait for it. */
  function afterAccept(run: AcceptedRun): void {
    if (run.direct !== true) return;
    const { id: runId, queue, priority, workflowId } = run;
    void deliver([{ runId, queue, priority, dispatch: 0, workflowId, suspect: false }], admission.round(queue));
  }

  return accept;
}

/** A run's agents may start children of their own run, and of no other. */
function parentOf({ parentId, principal }: StartRun): string | null {
  if (parentId === undefined) return null;
  if ('run' in principal.via && principal.via.run === parentId) return parentId;
  throw new FlowstateError('forbidden', 'Only a run itself starts its children', {
    errors: [{ field: 'parentId', message: 'must be the run that asks' }],
  });
}

function asRun(
  accepted: AcceptedRun,
  workflow: { name: string; version: string },
  input: unknown,
  { createdAt }: Acceptance,
): StoredRun {
  const state: RunState = accepted.owner === null ? 'queued' : 'running';
  return {
    id: accepted.id,
    workflow: workflow.name,
    version: workflow.version,
    queue: accepted.queue,
    principalId: accepted.principalId,
    state,
    input,
    output: null,
    error: null,
    priority: accepted.priority,
    tags: accepted.tags,
    attempt: 1,
    dispatch: 0,
    createdAt: createdAt.toISOString(),
    startedAt: null,
    finishedAt: null,
    traceId: accepted.trace?.split('-')[1] ?? null,
    scheduleId: null,
  };
}
