import { createHash } from 'node:crypto';
import { FlowstateError, type Principal, type RunState } from '@flowstate/contracts';
import type { Delivery, RunNews, RunQueues } from '@flowstate/queue';
import type { Logger } from '@flowstate/runtime';
import {
  acceptKeyedRun,
  acceptRuns,
  cancelRun,
  createBatcher,
  readRun,
  retryRun,
  type Acceptance,
  type AcceptedRun,
  type Sql,
  type StoredRun,
} from '@flowstate/store';
import { v7 as uuidv7 } from 'uuid';
import type { RunService, StartRun } from '../deps.ts';
import { checkEntityReferences, type EntityLookup } from './entity-references.ts';
import type { WorkflowCatalogue } from './workflow-catalogue.ts';

type Options = {
  sql: Sql;
  log: Logger;
  queues: RunQueues;
  publish: (runId: string, news: RunNews) => void;
  catalogue: WorkflowCatalogue;
  entities: EntityLookup;
};

const maxInputBytes = 1024 * 1024;

/** Accepts, cancels and retries runs: commit in the ledger first, then tell the queue. */
export function createRunService({ sql, log, queues, publish, catalogue, entities }: Options): RunService {
  const accepts = createBatcher<AcceptedRun, Acceptance>({
    flush: (runs) => acceptRuns(sql, runs),
    lanes: 4,
    sizeOf: (run) => run.input.length,
  });

  /** After commit. When Redis is away the run waits in the ledger for the controller. */
  async function deliver(delivery: Delivery): Promise<void> {
    try {
      await queues.deliver([delivery]);
    } catch (error) {
      log.warn({ err: (error as Error).message, runId: delivery.runId }, 'accepted, but not delivered yet');
    }
  }

  async function start(request: StartRun): Promise<{ run: StoredRun; replayed: boolean }> {
    const { principal } = request;
    const workflow = await catalogue.get(request.workflow);
    const input = workflow.checkInput(request.input);
    await checkEntityReferences(workflow.input, input, principal.role, entities);
    const json = JSON.stringify(input);
    if (json.length > maxInputBytes)
      throw new FlowstateError('payload_too_large', `input is over ${maxInputBytes} bytes`);
    const accepted: AcceptedRun = {
      id: uuidv7(),
      workflowId: workflow.id,
      queue: workflow.queue,
      principalId: principal.id,
      role: principal.role,
      priority: request.priority ?? 5,
      tags: request.tags ?? [],
      input: json,
      webhookUrl: null,
      trace: request.traceparent ?? null,
      delayMs: request.delayMs ?? 0,
      owner: request.owner ?? null,
    };
    if (request.idempotency) {
      const { route, key, body } = request.idempotency;
      const answer = await acceptKeyedRun(sql, accepted, { route, key, bodyHash: fingerprint(body) });
      if ('conflict' in answer) {
        throw new FlowstateError('conflict', 'This Idempotency-Key was used with another body', {
          errors: [{ field: 'idempotency-key', message: 'was used with another body' }],
        });
      }
      if (answer.replayed) return { run: await mustRead(answer.run.id), replayed: true };
      await afterAccept(accepted);
      return { run: asRun(accepted, workflow, input, answer.run), replayed: false };
    }
    const acceptance = await accepts.add(accepted);
    await afterAccept(accepted);
    return { run: asRun(accepted, workflow, input, acceptance), replayed: false };
  }

  async function afterAccept(run: AcceptedRun): Promise<void> {
    // Delayed runs are the controller's: Postgres owns every timer.
    if (run.delayMs > 0 || run.owner !== null) return;
    await deliver({ runId: run.id, queue: run.queue, priority: run.priority, dispatch: 0 });
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

  return {
    start,
    read: visible,
    async cancel(id, principal) {
      const run = await visible(id, principal);
      const answer = await cancelRun(sql, run.id);
      if (answer.outcome === 'not-live') throw new FlowstateError('conflict', `The run is already ${run.state}`);
      if (answer.outcome === 'cancelled') {
        const at = new Date().toISOString();
        publish(run.id, [{ seq: answer.seq, type: 'run.cancelled', at, data: { by: principal.id } }]);
        await queues.withdraw({ ...answer, runId: run.id, priority: 0 }).catch(() => {}); // a late delivery finds nothing
      }
      return mustRead(run.id);
    },
    async retry(id, principal) {
      const run = await visible(id, principal);
      const delivery = await retryRun(sql, run.id, principal.id);
      if (delivery === null)
        throw new FlowstateError('conflict', `Only a failed run can be retried, this one is ${run.state}`);
      await deliver(delivery);
      return mustRead(run.id);
    },
  };
}

/** `analyst`, `manager` and `admin` read all runs; the others their own. */
export function seesAllRuns(principal: Principal): boolean {
  return ['admin', 'manager', 'analyst'].includes(principal.role);
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
  };
}
