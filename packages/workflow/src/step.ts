import { setTimeout as wait } from 'node:timers/promises';
import { FlowstateError, type Effect, type RunProgress } from '@flowstate/contracts';
import type { RetryPolicy, StepContext, StepOptions } from './definition.ts';
import { RunInterrupt, StepError } from './interrupt.ts';
import type { Journal } from './journal.ts';
import type { Replay } from './replay.ts';

/** Largest recorded result of a step, as JSON. */
export const maxResultBytes = 1024 * 1024;

type Environment = {
  runId: string;
  replay: Replay;
  journal: Journal;
  signal: AbortSignal;
  defaultRetry: RetryPolicy;
  publish: (progress: RunProgress) => void;
  onStep: (step: { name: string; effect: Effect; seconds: number; ok: boolean }) => void;
  /** Takes the run out of here for a person to decide. */
  park: (reason: string) => never;
};

/** Runs one step that has no recorded result yet: intent, tries with backoff, result. */
export async function runStep<T>(
  env: Environment,
  name: string,
  fn: (step: StepContext) => Promise<T> | T,
  { effect = 'pure', retry = env.defaultRetry, timeoutMs }: StepOptions,
): Promise<T> {
  const { journal, replay, signal } = env;
  if (effect !== 'pure') {
    if (effect === 'unsafe' && replay.intents.has(name)) env.park(`Step ${name} may or may not have taken effect`);
    // Everything before the effect, and that it is about to happen, must be on record first.
    journal.record('step.intended', { name, effect });
    await journal.flushed();
  }
  // An unsafe effect is never repeated by itself.
  const attempts = effect === 'unsafe' ? 1 : Math.max(1, retry.attempts);
  for (let attempt = (replay.failures.get(name) ?? 0) + 1; ; attempt++) {
    const startedAt = new Date();
    const report = (ok: boolean) =>
      env.onStep({ name, effect, ok, seconds: (Date.now() - startedAt.getTime()) / 1000 });
    env.publish({ type: 'step.started', at: startedAt.toISOString(), data: { name, attempt } });
    try {
      const output = toRecorded(name, await oneTry(env, name, fn, attempt, timeoutMs));
      report(true);
      journal.record('step.completed', { name, effect, attempt, startedAt: startedAt.toISOString(), output });
      if (effect !== 'pure') await journal.flushed();
      return output as T;
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (error instanceof RunInterrupt) throw error;
      report(false);
      if (effect === 'unsafe' && isTimeout(error)) env.park(`Step ${name} timed out and may have taken effect`);
      const final = attempt >= attempts || (error instanceof FlowstateError && !error.retryable);
      const delayMs = final ? 0 : backoff(retry, attempt);
      journal.record('step.failed', {
        name,
        effect,
        attempt,
        startedAt: startedAt.toISOString(),
        error: describe(error),
        final,
        ...(!final && { retryInMs: delayMs }),
      });
      if (final) throw new StepError(name, error);
      await wait(delayMs, undefined, { signal }).catch(() => Promise.reject(signal.reason));
    }
  }
}

async function oneTry<T>(
  env: Environment,
  name: string,
  fn: (step: StepContext) => Promise<T> | T,
  attempt: number,
  timeoutMs: number | undefined,
): Promise<T> {
  const timeout = new AbortController();
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          timeout.abort(new FlowstateError('timeout', `Step ${name} took longer than ${timeoutMs} ms`));
        }, timeoutMs);
  const signal = AbortSignal.any([env.signal, timeout.signal]);
  // A function that ignores its signal must not hold the run.
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
  try {
    signal.throwIfAborted();
    const context = { signal, attempt, idempotencyKey: `${env.runId}:${name}` };
    return await Promise.race([(async () => fn(context))(), aborted]);
  } finally {
    clearTimeout(timer);
  }
}

/** What the ledger will give back on replay is what the workflow gets now: the JSON form. */
function toRecorded(name: string, value: unknown): unknown {
  const json = JSON.stringify(value) as string | undefined;
  if (json === undefined) return null;
  if (json.length > maxResultBytes) {
    throw new FlowstateError(
      'payload_too_large',
      `Result of step ${name} is ${json.length} bytes, over ${maxResultBytes}`,
    );
  }
  return JSON.parse(json);
}

function isTimeout(error: unknown): boolean {
  return error instanceof FlowstateError && error.code === 'timeout';
}

/** Exponential backoff with full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015). */
function backoff({ backoffMs = 200, maxBackoffMs = 10_000 }: RetryPolicy, attempt: number): number {
  return Math.round(Math.random() * Math.min(maxBackoffMs, backoffMs * 2 ** (attempt - 1)));
}

function describe(error: unknown): { code: string; message: string } {
  if (error instanceof FlowstateError) return { code: error.code, message: error.message };
  return { code: 'step_error', message: error instanceof Error ? error.message : String(error) };
}
