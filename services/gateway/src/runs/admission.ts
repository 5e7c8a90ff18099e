import { setTimeout as wait } from 'node:timers/promises';
import {
  FlowstateError,
  invalidInput,
  limitsOf,
  queueNames,
  type Limit,
  type Principal,
  type QueueName,
  type SearchCeilings,
} from '@flowstate/contracts';
import type { RunQueues } from '@flowstate/queue';
import { listLimits, readQueueStates, type Sql } from '@flowstate/store';
import { createBacklogCount } from './backlog-count.ts';
import { createDirectBudget } from './direct-budget.ts';
import type { KnownWorkflow } from './workflow-catalogue.ts';

export type Admission = {
  /** Why the principal may not have this run now; null when it may, and the run is counted then. */
  refusal(principal: Principal, runId: string): Promise<FlowstateError | null>;
  /** A counted run was committed at this time of Postgres'; null: it never will be. */
  settled(principal: Principal, runId: string, createdAt: Date | null): void;
  /** Does a cap apply to the run, so that it must stand in line? Refuses a key the workflow knows nothing of. */
  capped(run: { principal: Principal; workflow: KnownWorkflow; concurrencyKey: string | null }): boolean;
  /** What an operator leaves of the principal's searches. */
  searchCeilings(principal: Principal): SearchCeilings;
  /** May the run go straight to the queue? Counts it when it may. */
  mayGoDirect(queue: QueueName, principalId: string): boolean;
  /** The round that jobs handed over now belong to. */
  round(queue: QueueName): number;
  /** Looks at limits, lines and windows now. Resolves whether or not the stores answered. */
  refresh(): Promise<void>;
  stop(): Promise<void>;
};

type Options = {
  sql: Sql;
  queues: Pick<RunQueues, 'waiting' | 'ready'>;
  /** Milliseconds between two looks; under load there are more. */
  everyMs?: number;
};

/** Seconds after which somebody with too many runs may try again. */
const retryAfter = 5;

/** Who may start how many runs, and which of them need not stand in line: by a look at the stores now and then. */
export function createAdmission({ sql, queues, everyMs = 250 }: Options): Admission {
  const stopped = new AbortController();
  const backlog = createBacklogCount(sql);
  const budgets = new Map(queueNames.map((queue) => [queue, createDirectBudget()]));
  const budget = (queue: QueueName) => budgets.get(queue) as ReturnType<typeof createDirectBudget>;
  let limits: Limit[] = [];
  let looking: Promise<unknown> | undefined;

  async function lookAtQueues(): Promise<void> {
    for (const queue of queueNames) budget(queue).begin();
    const states = await readQueueStates(sql).catch(() => []);
    for (const queue of queueNames) {
      const state = states.find((each) => each.queue === queue);
      const waiting = state && queues.ready() ? await queues.waiting(queue).catch(() => null) : null;
      budget(queue).looked(state === undefined || waiting === null ? null : { state, waiting });
    }
  }

  async function lookAtLimits(): Promise<void> {
    const [set] = await Promise.all([listLimits(sql), backlog.look()]);
    limits = set;
  }

  /** Joins a look under way. */
  function look(): Promise<unknown> {
    // Without Postgres nothing is accepted anyway: what was known stays.
    looking ??= Promise.allSettled([lookAtQueues(), lookAtLimits()]).finally(() => {
      looking = undefined;
    });
    return looking;
  }

  async function refresh(): Promise<void> {
    // One under way may have missed what the caller has just written.
    await looking;
    await look();
  }

  async function poll(): Promise<void> {
    while (!stopped.signal.aborted) {
      await look();
      await wait(everyMs, undefined, { signal: stopped.signal }).catch(() => {});
    }
  }
  const polling = poll();

  return {
    async refusal(principal, runId) {
      const { maxBacklog } = limitsOf(limits, principal);
      if (await backlog.add(principal.id, runId, maxBacklog)) return null;
      const message = `${maxBacklog} of your runs have not ended yet, which is your limit (maxBacklog)`;
      return new FlowstateError('rate_limited', message, { retryAfter });
    },
    settled: ({ id }, runId, createdAt) => backlog.settled(id, runId, createdAt),
    capped({ principal, workflow: { name, concurrency }, concurrencyKey }) {
      if (concurrencyKey !== null && concurrency?.perKey === undefined) {
        throw invalidInput([{ field: 'concurrencyKey', message: `is not for ${name}, which declares no cap per key` }]);
      }
      return (
        concurrencyKey !== null ||
        concurrency?.total !== undefined ||
        limitsOf(limits, principal).maxConcurrent !== null ||
        limits.some((limit) => limit.scope === 'workflow' && limit.subject === name && limit.maxConcurrent !== null)
      );
    },
    searchCeilings: (principal) => limitsOf(limits, principal).search,
    mayGoDirect(queue, principalId) {
      if (budget(queue).stale()) void look();
      return budget(queue).take(principalId);
    },
    round: (queue) => budget(queue).round(),
    refresh,
    async stop() {
      stopped.abort();
      await polling;
    },
  };
}
