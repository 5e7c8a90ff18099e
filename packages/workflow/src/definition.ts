import { FlowstateError, type Effect, type QueueName } from '@flowstate/contracts';
import type { Static, TSchema } from 'typebox';
import type { Backend } from './backend.ts';
import type { ModelAgent } from './model-agent.ts';
import type { UsedTokens } from './spending.ts';

/** How often and how patiently something is tried again. */
export type RetryPolicy = {
  /** Tries in all, the first included. */
  attempts: number;
  /** Wait before the second try, in milliseconds; doubles each time, with full jitter. */
  backoffMs?: number;
  /** Upper bound of one wait, in milliseconds. */
  maxBackoffMs?: number;
};

export type StepOptions = {
  /** What the function does to the outside world; `pure` unless said otherwise. */
  effect?: Effect;
  retry?: RetryPolicy;
  /** Milliseconds after which a try is aborted and counted as failed. */
  timeoutMs?: number;
};

/** What a step's function gets. */
export type StepContext = {
  /** Aborted when the run is cancelled, lost or drained, or when the step's time is up. */
  signal: AbortSignal;
  /** Same value on every try of this step of this run, also after a crash: hand it to the far end of a keyed effect. */
  idempotencyKey: string;
  /** 1 for the first try. */
  attempt: number;
  /**
   * Says what a call of a model that was reserved really used: recorded with this try, however it ends. What is never
   * said counts as spent in full.
   */
  settle(reservation: string, used: UsedTokens): void;
};

/** What an agent gets beside its input. */
export type AgentContext = {
  runId: string;
  signal: AbortSignal;
  backend: Backend;
  /** Live news for whoever watches the run; not recorded. */
  progress(data: Record<string, unknown>): void;
};

/** A specialised capability with a checked input and output. Numbers it returns are computed, never invented. */
export type Agent<I extends TSchema = TSchema, O extends TSchema = TSchema> = {
  name: string;
  description: string;
  input: I;
  output: O;
  run(ctx: AgentContext, input: Static<I>): Promise<Static<O>> | Static<O>;
};

/** What somebody sent to a waiting run. */
export type ReceivedSignal = {
  data: unknown;
  /** Id of the principal who sent it. */
  by: string;
  /** ISO 8601. */
  at: string;
};

export type SignalOptions = {
  /** Milliseconds after which the wait ends with null. */
  timeoutMs?: number;
  /** A person's decision: neither whoever started the run can send it, nor a run. */
  approval?: boolean;
  /** Name of the wait, when one signal is waited for side by side. */
  name?: string;
};

export type MapOptions = {
  /** Items worked on at the same time (default 10). */
  concurrency?: number;
  /** Prefix of the items' step names; needed only when several maps run side by side. */
  name?: string;
};

type Settled<T extends readonly unknown[]> = readonly [...{ [K in keyof T]: Promise<T[K]> }];

/** What a workflow function gets. Everything outside a step must be deterministic: it is replayed after a crash. */
export type WorkflowContext = {
  runId: string;
  /** Aborted when the run is cancelled, lost or handed back. */
  signal: AbortSignal;
  /** Runs `fn` once and records its result (JSON) under `name`; a finished step returns the recorded result. */
  step<T>(name: string, fn: (step: StepContext) => Promise<T> | T, options?: StepOptions): Promise<T>;
  /** Runs an agent as a pure step named after it (or `name`), its input and output checked. */
  agent<I extends TSchema, O extends TSchema>(
    agent: Agent<I, O>,
    input: NoInfer<Static<I>>,
    options?: { name?: string; retry?: RetryPolicy; timeoutMs?: number },
  ): Promise<Static<O>>;
  /**
   * Asks an agent with a language model's mind; each call of the model or a tool is a step (`<name>/model#k`,
   * `<name>/tool#k.j`). Null where no model is configured. Throws a FlowstateError when the model failed for good
   * (`unavailable`, `upstream_failed`, `budget_exhausted`, …): a workflow may have something to fall back to.
   */
  ask<I extends TSchema, O extends TSchema>(
    agent: ModelAgent<I, O>,
    input: NoInfer<Static<I>>,
    options?: { name?: string },
  ): Promise<Static<O> | null>;
  /** Waits for all; when one fails the others are still awaited before the first error is thrown. */
  all<T extends readonly unknown[]>(branches: Settled<T>): Promise<T>;
  /** The first to settle, the same one on every replay; a plain `Promise.race` could not be replayed. */
  race<T extends readonly unknown[]>(branches: Settled<T>): Promise<T[number]>;
  /** Works through items side by side; steps of `scope` are named after the item: `map#1[3]/fetch`. */
  map<T, R>(
    items: readonly T[],
    fn: (item: T, scope: WorkflowContext, index: number) => Promise<R>,
    options?: MapOptions,
  ): Promise<R[]>;
  /** Waits without holding a worker (from one second on); survives restarts of everything. */
  sleep(ms: number): Promise<void>;
  /** Waits for `POST /api/runs/:id/signals/:name` without holding a worker; null when the time ran out. */
  waitForSignal(signal: string, options?: SignalOptions): Promise<ReceivedSignal | null>;
  /** Starts another workflow once and waits for its output without holding a worker; throws when it does not complete. */
  child<I extends TSchema, O extends TSchema>(
    workflow: Pick<Workflow<I, O>, 'name' | 'output'>,
    input: NoInfer<Static<I>>,
    options?: { name?: string },
  ): Promise<Static<O>>;
  /** The time (Postgres'), recorded: the same on every replay. */
  now(): Date;
  /** A number in [0, 1), recorded. */
  random(): number;
  /** Live news for whoever watches the run; not recorded. */
  progress(data: Record<string, unknown>): void;
  backend: Backend;
};

export type Workflow<I extends TSchema = TSchema, O extends TSchema = TSchema> = {
  name: string;
  /** Runs stay on the version they began with. */
  version: string;
  description: string;
  /** Queue it is served from (`workflows` unless it is bulk work on documents). */
  queue: QueueName;
  input: I;
  output: O;
  /** Default for steps that name none. */
  retry: RetryPolicy;
  /** How often the whole run goes on from its failed step by itself; once failed is failed unless said otherwise. */
  runRetry: RetryPolicy;
  /** Milliseconds from its start after which a run fails, waiting included. */
  timeoutMs?: number;
  /**
   * How many of its runs are in flight at most, over all workers: `total`, and `perKey` of those that were started with
   * the same `concurrencyKey`. The others stand in line; a run that waits (sleep, signal, child) holds no place.
   */
  concurrency?: { total?: number; perKey?: number };
  run(ctx: WorkflowContext, input: Static<I>): Promise<Static<O>>;
};

type Declaration<I extends TSchema, O extends TSchema> = Omit<Workflow<I, O>, 'run' | 'queue' | 'retry' | 'runRetry'> &
  Partial<Pick<Workflow, 'queue' | 'retry' | 'runRetry'>>;

/**
 * Declares a workflow. A schema property marked `'x-flowstate-entity': 'customer'` holds the id of a stored customer:
 * the gateway refuses a run whose customer does not exist with 404.
 */
export function defineWorkflow<I extends TSchema, O extends TSchema>(
  declaration: Declaration<I, O>,
  run: (ctx: WorkflowContext, input: Static<I>) => Promise<Static<O>>,
): Workflow<I, O> {
  for (const [cap, runs] of Object.entries(declaration.concurrency ?? {})) {
    if (runs === undefined || (Number.isInteger(runs) && runs > 0)) continue;
    throw new FlowstateError('invalid_input', `${declaration.name}: concurrency.${cap} must be a whole number above 0`);
  }
  return {
    queue: 'workflows',
    retry: { attempts: 3, backoffMs: 200, maxBackoffMs: 10_000 },
    runRetry: { attempts: 1 },
    ...declaration,
    run,
  };
}

export function defineAgent<I extends TSchema, O extends TSchema>(agent: Agent<I, O>): Agent<I, O> {
  return agent;
}
