import { FlowstateError, type Effect, type FailedTry, type PayloadRef, type RunProgress } from '@flowstate/contracts';
import { activeTraceparent, inSpan, isSampled, isSpent, keepAccount, type Spending } from '@flowstate/tracing';
import type { RetryPolicy, StepContext, StepOptions } from './definition.ts';
import { RunInterrupt, StepError } from './interrupt.ts';
import type { Journal } from './journal.ts';
import { isLarge, resultJson } from './large-results.ts';
import type { Replay } from './replay.ts';
import type { SettledCall } from './settled-call.ts';
import { withinTime } from './time-limit.ts';

export type StepEnvironment = {
  runId: string;
  replay: Replay;
  journal: Journal;
  signal: AbortSignal;
  /** Rejects with the reason when `signal` is aborted: a function that ignores its signal must not hold the run. */
  interrupted: Promise<never>;
  defaultRetry: RetryPolicy;
  publish: (progress: RunProgress) => void;
  onStep: (step: { name: string; effect: Effect; seconds: number; ok: boolean }) => void;
  /** Stores a large result (JSON text) for events to refer to. */
  storeLarge: (json: string) => Promise<PayloadRef>;
  /** Counts a try as under way until it settles. */
  underWay: <T>(work: () => Promise<T>) => Promise<T>;
  /** Postgres time in milliseconds. */
  now: () => number;
  /** Waits until that time, without a worker where it is long. */
  until: (at: number) => Promise<void>;
  /** Resolves when this worker is known to live; undefined when it is. */
  confirmed: () => Promise<void> | undefined;
  /** Steps whose unsafe effect is under way, its outcome unknown. */
  inDoubt: Set<string>;
  /** Takes the run out of here for a person to decide. */
  park: (reason: string, step: string) => never;
};

type Step<T> = { name: string; fn: (step: StepContext) => Promise<T> | T; options: StepOptions };

/** Runs one step that has no recorded result yet: intent, tries with backoff, result. */
export async function runStep<T>(env: StepEnvironment, { name, fn, options }: Step<T>): Promise<T> {
  const { journal, replay, signal, now } = env;
  const { effect = 'pure', retry = env.defaultRetry } = options;
  if (effect === 'unsafe' && replay.intents.has(name)) env.park(`Step ${name} may or may not have taken effect`, name);
  // An unsafe effect is never repeated by itself.
  const attempts = effect === 'unsafe' ? 1 : Math.max(1, retry.attempts);
  const { tries: earlier = [], retryAt = 0 } = replay.failures.get(name) ?? {};
  const tries: FailedTry[] = [...earlier];
  if (retryAt > now()) await env.until(retryAt);

  for (;;) {
    const attempt = (tries.at(-1)?.attempt ?? 0) + 1;
    const told: Told = { spent: {}, settled: [] };
    try {
      return await env.underWay(() => tryOnce(env, { name, fn, options }, attempt, told));
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (error instanceof RunInterrupt) throw error;
      if (effect === 'unsafe' && isTimeout(error)) env.park(`Step ${name} timed out and may have taken effect`, name);
      const failed = { attempt, at: new Date(now()).toISOString(), ...describe(error) };
      env.inDoubt.delete(name); // it threw: known not to have taken effect
      tries.push(failed);
      const final = attempt >= attempts || (error instanceof FlowstateError && !error.retryable);
      const retryAfter = error instanceof FlowstateError ? (error.retryAfter ?? 0) * 1000 : 0;
      const nextAt = final ? undefined : now() + Math.max(retryAfter, backoff(retry, attempt));
      const data = { name, effect, attempt, error: describe(error), final, ...toRecord(told) };
      journal.record('step.failed', { ...data, ...(nextAt !== undefined && { retryAt: nextAt }) }, settledBy(told));
      if (nextAt === undefined) throw new StepError(name, error, tries);
      await env.until(nextAt);
    }
  }
}

/** What a try leaves on record besides its result. */
type Told = { startedAt?: string; spent: Spending; settled: SettledCall[]; trace?: string | undefined };

/** Most steps call nothing and are not traced: their records stay as small as they were. */
function toRecord({ startedAt, spent, settled, trace }: Told) {
  return {
    ...(startedAt !== undefined && { startedAt }),
    ...(isSpent(spent) && { spent }),
    ...(settled.length > 0 && { settled }),
    ...(trace !== undefined && { trace }),
  };
}

/** Few steps call a model that has to be paid for. */
function settledBy({ settled }: Told): { settled?: readonly SettledCall[] } {
  return settled.length > 0 ? { settled } : {};
}

/** A step's name as declared: rounds (`embed#17`, `tool#3.1`), items of a map (`map#1[3]/embed`) would be without bound. */
export function declaredName(step: string): string {
  // Most names are as declared: a look is cheaper than two replacements that find nothing.
  if (!/[[#]/.test(step)) return step;
  return step.replaceAll(/\[\d+\]/g, '').replaceAll(/#\d+(\.\d+)*/g, '');
}

/** One try, from the record of its intent to the record of its result. */
async function tryOnce<T>(
  env: StepEnvironment,
  { name, fn, options }: Step<T>,
  attempt: number,
  told: Told,
): Promise<T> {
  const { journal, publish, onStep } = env;
  const { effect = 'pure' } = options;
  // Everything before the effect, and that it is about to happen, must be on record first.
  if (effect !== 'pure') journal.record('step.intended', { name, effect, attempt });
  const unwritten = effect === 'pure' ? journal.paid() : journal.flushed();
  if (unwritten !== undefined) await unwritten;
  // Last of all: this process may have stood still before it read the ledger's answer, and others may have the run now.
  for (let doubted = env.confirmed(); doubted !== undefined; doubted = env.confirmed()) {
    await Promise.race([doubted, env.interrupted]);
  }
  env.signal.throwIfAborted();
  if (effect === 'unsafe') env.inDoubt.add(name);
  const startedAt = new Date(env.now()).toISOString();
  const begun = performance.now();
  publish({ type: 'step.started', at: startedAt, data: { name, attempt } });
  let ok = false;
  try {
    const attributes = {
      'flowstate.step.name': name,
      'flowstate.step.effect': effect,
      'flowstate.step.attempt': attempt,
    };
    const value = await inSpan(`step ${declaredName(name)}`, { attributes }, () => {
      told.startedAt = startedAt;
      told.trace = isSampled() ? activeTraceparent() : undefined;
      return keepAccount(told.spent, () => withTimeout(env, { name, fn, options }, attempt, told));
    });
    const json = resultJson(`Result of step ${name}`, value);
    const outputRef = isLarge(json) ? await env.storeLarge(json) : undefined;
    ok = true;
    const data = { name, effect, attempt, ...toRecord(told) };
    if (outputRef === undefined) journal.record('step.completed', data, { output: json, ...settledBy(told) });
    else journal.record('step.completed', { ...data, outputRef }, settledBy(told));
    env.inDoubt.delete(name); // on its way to the ledger: however the run leaves here, that goes with it
    if (effect !== 'pure') journal.owe();
    // What the ledger will give back on replay is what the workflow gets now: the JSON form.
    return JSON.parse(json) as T;
  } finally {
    onStep({ name, effect, ok, seconds: (performance.now() - begun) / 1000 });
  }
}

async function withTimeout<T>(
  env: StepEnvironment,
  { name, fn, options: { timeoutMs } }: Step<T>,
  attempt: number,
  { settled }: Told,
): Promise<T> {
  env.signal.throwIfAborted();
  const idempotencyKey = `${env.runId}:${name}`;
  const settle: StepContext['settle'] = (reservation, { inputTokens, outputTokens }) => {
    // What is no count would fail the checkpoint; without it the call counts as spent.
    if ([inputTokens, outputTokens].every(isCount)) settled.push({ reservation, inputTokens, outputTokens });
  };
  const call = async (signal: AbortSignal) => fn({ signal, attempt, idempotencyKey, settle });
  if (timeoutMs === undefined) return Promise.race([call(env.signal), env.interrupted]);

  const late = new FlowstateError('timeout', `Step ${name} took longer than ${timeoutMs} ms`);
  return withinTime({ signal: env.signal, ms: timeoutMs, late }, call);
}

const isCount = (tokens: number) => Number.isInteger(tokens) && tokens >= 0 && tokens <= 1e9;

function isTimeout(error: unknown): boolean {
  return error instanceof FlowstateError && error.code === 'timeout';
}

/** Milliseconds: exponential backoff with full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015). */
export function backoff({ backoffMs = 200, maxBackoffMs = 10_000 }: RetryPolicy, attempt: number): number {
  return Math.round(Math.random() * Math.min(maxBackoffMs, backoffMs * 2 ** (attempt - 1)));
}

function describe(error: unknown): { code: string; message: string } {
  if (error instanceof FlowstateError) return { code: error.code, message: error.message };
  return { code: 'step_error', message: error instanceof Error ? error.message : String(error) };
}
