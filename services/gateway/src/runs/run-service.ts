import { FlowstateError, invalidInput, type Delivery, type Principal, type ResolveBody } from '@flowstate/contracts';
import { announceEnds, type PublishNews, type RunQueues } from '@flowstate/queue';
import type { Logger } from '@flowstate/runtime';
import {
  abandonRun,
  awaitsApproval,
  cancelRuns,
  forkRun,
  readRun,
  renewPermit,
  resolveRun,
  retryRuns,
  sendSignal,
  type BulkAction,
  type Ended,
  type Resolution,
  type StoredRun,
} from '@flowstate/store';
import { v7 as uuidv7 } from 'uuid';
import { createAcceptRun, type AcceptOptions, type StartRun } from './accept-run.ts';
import { createDeliver } from './deliver-committed.ts';
import { createRunWebhooks, type RunWebhooks } from './run-webhooks.ts';

/** Runs as routes use them. What the principal may not see answers `not_found`. */
export type RunService = RunWebhooks & {
  /** Validates, commits, then enqueues. */
  start(request: StartRun): Promise<{ run: StoredRun; replayed: boolean }>;
  read(id: string, principal: Principal): Promise<StoredRun>;
  cancel(id: string, principal: Principal): Promise<StoredRun>;
  /** Sends a run something it waits for, now or later. */
  signal(id: string, signal: { name: string; data: unknown }, principal: Principal): Promise<StoredRun>;
  /** Settles a parked run. */
  resolve(id: string, resolution: ResolveBody, principal: Principal): Promise<StoredRun>;
  /** A new run that begins with what this one had on record before `fromStep`. */
  fork(id: string, from: { fromStep: string }, principal: Principal): Promise<StoredRun>;
  /** A failed run goes on from its failed step as a new attempt. */
  retry(id: string, principal: Principal): Promise<StoredRun>;
  /** After commit: a run that news woke is handed to the queue. */
  wake(delivery: Delivery): Promise<void>;
  /** Cancels or retries many at once, which the caller has made sure the principal may; returns the ids it changed. */
  change(action: BulkAction, ids: string[], principal: Principal): Promise<string[]>;
};

type Options = Omit<AcceptOptions, 'queues' | 'deliver'> & {
  log: Logger;
  queues: RunQueues;
  publish: PublishNews;
};

/** Accepts, cancels and retries runs: commit in the ledger first, then tell the queue. */
export function createRunService(options: Options): RunService {
  const { sql, log, queues, publish } = options;
  const deliver = createDeliver(queues, log);
  const accept = createAcceptRun({ ...options, deliver });

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

  const retry = (ids: string[], { id: by }: Principal) => sql.begin((tx) => retryRuns(tx, ids, by));

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
    async start(request) {
      const accepted = await accept(request);
      if ('run' in accepted) return { run: accepted.run, replayed: false };
      return { run: await mustRead(accepted.replayed), replayed: true };
    },
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
      const own = run.principalId === principal.id;
      const byRun = 'run' in principal.via ? principal.via.run : undefined;
      // Sent ahead of the question, it is no answer to it.
      if ((own || byRun !== undefined) && (await awaitsApproval(sql, run.id, name))) {
        const why = byRun === undefined ? 'Nobody approves a run of their own' : 'A person decides, never a run';
        throw new FlowstateError('forbidden', why);
      }
      const sent = await sendSignal(sql, { runId: run.id, name, data, principalId: principal.id, byRun });
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
      if (run.principalId !== principal.id && !retriesAllRuns(principal)) {
        throw new FlowstateError('forbidden', "A run may not retry other people's runs, which act for them");
      }
      if ((await retry([run.id], principal)).length === 0)
        throw new FlowstateError('conflict', `Only a failed run can be retried, this one is ${run.state}`);
      return mustRead(run.id);
    },
    change: (action, ids, principal) => (action === 'cancel' ? cancel(ids, principal) : retry(ids, principal)),
  };
}

/** `analyst`, `manager` and `admin` read all runs; the others their own. */
export function seesAllRuns(principal: Principal): boolean {
  return ['admin', 'manager', 'analyst'].includes(principal.role);
}

/** What is retried acts for whoever started it: an agent sets nothing going but for whom it acts itself. */
export function retriesAllRuns(principal: Principal): boolean {
  return seesAllRuns(principal) && !('run' in principal.via);
}
