import { createHash } from 'node:crypto';
import {
  FlowstateError,
  invalidInput,
  maxInputBytes,
  type Delivery,
  type Principal,
  type QueueName,
  type RunState,
} from '@flowstate/contracts';
import { announceEnds, type PublishNews, type RunQueues } from '@flowstate/queue';
import type { Logger } from '@flowstate/runtime';
import {
  abandonRun,
  acceptKeyedRun,
  acceptRuns,
  acceptedUnderKey,
  awaitsApproval,
  cancelRuns,
  createBatcher,
  forkRun,
  readRun,
  renewPermit,
  resolveRun,
  retryRuns,
  sendSignal,
  type LaneOf,
  type Acceptance,
  type AcceptedRun,
  type Ended,
  type IdempotencyKey,
  type Resolution,
  type Sql,
  type StoredRun,
} from '@flowstate/store';
import { v7 as uuidv7 } from 'uuid';
import type { RunService, StartRun } from '../deps.ts';
import type { Admission } from './admission.ts';
import { checkEntityReferences, type EntityLookup } from './entity-references.ts';
import { createRunWebhooks } from './run-webhooks.ts';
import type { WebhookUrlCheck } from './webhook-url.ts';
import type { WorkflowCatalogue } from './workflow-catalogue.ts';

type Options = {
  sql: Sql;
  log: Logger;
  queues: RunQueues;
  laneOf: LaneOf;
  publish: PublishNews;
  catalogue: WorkflowCatalogue;
  admission: Admission;
  entities: EntityLookup;
  webhookUrl: WebhookUrlCheck;
};

/** Accepts, cancels and retries runs: commit in the ledger first, then tell the queue. */
export function createRunService(options: Options): RunService {
  const { sql, log, queues, laneOf, publish, catalogue, admission, entities, webhookUrl } = options;
  const accepts = createBatcher<AcceptedRun, Acceptance>({
    flush: (runs) => acceptRuns(sql, runs),
    summary: 'INSERT run_live INSERT runs',
    lanes: 4,
    sizeOf: (run) => run.input.length,
  });

  /** After commit. What Redis does not take now the controller delivers. */
  async function deliver(deliveries: Delivery[], round?: number): Promise<void> {
    if (deliveries.length === 0) return;
    try {
      await queues.deliver(deliveries, round);
    } catch (error) {
      const runIds = deliveries.map(({ runId }) => runId);
      log.warn({ err: (error as Error).message, runIds }, 'committed, but not delivered yet');
    }
  }

  async function start(request: StartRun): Promise<{ run: StoredRun; replayed: boolean }> {
    const { principal } = request;
    const workflow = await catalogue.get(request.workflow, request.version);
    const input = workflow.checkInput(request.input);
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
    const key = keyOf(request);
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
      if (replayed) return { run: await mustRead(run.id), replayed };
      ({ createdAt } = run);
      afterAccept(accepted);
      return { run: asRun(accepted, workflow, input, run), replayed };
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

  async function commit(run: AcceptedRun, key: IdempotencyKey | null): Promise<{ run: Acceptance; replayed: boolean }> {
    if (key === null) return { run: await accepts.add(run), replayed: false };
    const answer = await acceptKeyedRun(sql, run, key);
    if (!('conflict' in answer)) return answer;
    throw new FlowstateError('conflict', 'This Idempotency-Key was used with another body', {
      errors: [{ field: 'idempotency-key', message: 'was used with another body' }],
    });
  }

  /** The run is accepted whether Redis takes its job now or not: the answer does not wait for it. */
  function afterAccept(run: AcceptedRun): void {
    if (run.direct !== true) return;
    const { id: runId, priority, workflowId } = run;
    const queue = run.queue as QueueName;
    void deliver([{ runId, queue, priority, dispatch: 0, workflowId, suspect: false }], admission.round(queue));
  }

  async function mustRead(id: string): Promise<StoredRun> {
    const run = await readRun(sql, id);
    if (run === null) throw new FlowstateError('not_found', `There is no run ${id}`);
    return run;
  }

  /** What the principal may not see is not there. */
  async function visible(id: string, principal: Principal): Promise<StoredRun> {
    const run = await mustRead(id);
    if (!seesAllRuns(principal) && run.principalId !== principal.id) {
      throw new FlowstateError('not_found', `There is no run ${id}`);
    }
    return run;
  }

  /** Cancels runs and whatever they started; returns the ids of those that were not over. */
  async function cancel(ids: string[], principal: Principal): Promise<string[]> {
    const cancelled = await cancelRuns(sql, ids);
    await announce(cancelled, principal);
    return [...cancelled.ended.map(({ delivery }) => delivery.runId), ...cancelled.requested];
  }

  async function announce({ ended, woken }: Ended, { id: by }: Principal): Promise<void> {
    await announceEnds({ queues, publish }, ended, by);
    await deliver(woken);
  }

  async function abandon(runId: string, principal: Principal): Promise<'resolved' | null> {
    const abandoned = await abandonRun(sql, runId, principal.id);
    await announce(abandoned, principal);
    return abandoned.ended.length === 1 ? 'resolved' : null;
  }

  async function settle({ id, error }: StoredRun, resolution: Resolution, { id: by }: Principal) {
    return sql.begin(async (tx) => {
      const settled = await resolveRun(tx, id, by, resolution);
      const again = settled === 'resolved' && resolution.outcome === 'not-happened';
      if (again && error?.step !== undefined) await renewPermit(tx, id, error.step);
      return settled;
    });
  }

  return {
    start,
    read: visible,
    ...createRunWebhooks(sql, visible),
    wake: (delivery) => deliver([delivery]),
    async cancel(id, principal) {
      const run = await visible(id, principal);
      const changed = await cancel([run.id], principal);
      if (!changed.includes(run.id)) throw new FlowstateError('conflict', `The run is already ${run.state}`);
      return mustRead(run.id);
    },
    async signal(id, { name, data }, principal) {
      const run = await visible(id, principal);
      if (run.principalId === principal.id && (await awaitsApproval(sql, run.id, name))) {
        throw new FlowstateError('forbidden', 'Nobody approves a run of their own');
      }
      const sent = await sendSignal(sql, { runId: run.id, name, data, principalId: principal.id });
      if (sent === null) throw new FlowstateError('conflict', `The run is already ${run.state}`);
      if (sent.delivery) await deliver([sent.delivery]);
      return mustRead(run.id);
    },
    async resolve(id, resolution, principal) {
      const run = await visible(id, principal);
      const answer =
        resolution.outcome === 'abandon' ? await abandon(run.id, principal) : await settle(run, resolution, principal);
      if (answer === null)
        throw new FlowstateError('conflict', `Only a parked run is settled, this one is ${run.state}`);
      if (answer === 'no-step') {
        throw invalidInput([{ field: 'outcome', message: 'cannot be happened: no step of this run is in doubt' }]);
      }
      return mustRead(run.id);
    },
    async fork(id, { fromStep }, principal) {
      const run = await visible(id, principal);
      const forked = await forkRun(sql, {
        runId: run.id,
        fromStep,
        id: uuidv7(),
        principalId: principal.id,
        role: principal.role,
      });
      if (forked === null) {
        throw new FlowstateError('not_found', `The run has no step ${fromStep}`, {
          errors: [{ field: 'fromStep', message: 'is not a step of this run' }],
        });
      }
      return mustRead(forked);
    },
    async retry(id, principal) {
      const run = await visible(id, principal);
      if ((await retryRuns(sql, [run.id], principal.id)).length === 0)
        throw new FlowstateError('conflict', `Only a failed run can be retried, this one is ${run.state}`);
      return mustRead(run.id);
    },
    change: (action, ids, principal) =>
      action === 'cancel' ? cancel(ids, principal) : retryRuns(sql, ids, principal.id),
  };
}

/** `analyst`, `manager` and `admin` read all runs; the others their own. */
export function seesAllRuns(principal: Principal): boolean {
  return ['admin', 'manager', 'analyst'].includes(principal.role);
}

/** A run's agents may start children of their own run, and of no other. */
function parentOf({ parentId, principal }: StartRun): string | null {
  if (parentId === undefined) return null;
  if ('run' in principal.via && principal.via.run === parentId) return parentId;
  throw new FlowstateError('forbidden', 'Only a run itself starts its children', {
    errors: [{ field: 'parentId', message: 'must be the run that asks' }],
  });
}

function keyOf({ idempotency }: StartRun): IdempotencyKey | null {
  if (idempotency === undefined) return null;
  const { route, key, body } = idempotency;
  return { route, key, bodyHash: fingerprint(body) };
}

/** Hash of the body in canonical form: keys sorted, so that two spellings of one object are one. */
function fingerprint(body: unknown): string {
  const canonical = JSON.stringify(body, (_key, value: unknown) =>
    value !== null && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
  return createHash('sha256').update(canonical).digest('base64url');
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
