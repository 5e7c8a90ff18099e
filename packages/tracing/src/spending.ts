import { AsyncLocalStorage } from 'node:async_hooks';

/** Calls of one kind: how many, and how long they took in all, in milliseconds. */
export type CallSpending = { calls: number; ms: number };

export type ModelSpending = CallSpending & {
  inputTokens: number;
  outputTokens: number;
  /** US dollars; null where the price is not known. */
  costUsd: number | null;
};

/** Where the time (and money) of a piece of work went, by operation and by model. */
export type Spending = { backend?: Record<string, CallSpending>; models?: Record<string, ModelSpending> };

const current = new AsyncLocalStorage<Spending>();

/** Does work and keeps an account of what it spends, whether or not anything is traced. */
export function keepAccount<T>(account: Spending, work: () => T): T {
  return current.run(account, work);
}

/** A call of the platform's API by the current work. */
export function spendOnBackend(operation: string, ms: number): void {
  const account = current.getStore();
  if (account === undefined) return;
  const sum = ((account.backend ??= {})[operation] ??= { calls: 0, ms: 0 });
  sum.calls += 1;
  sum.ms = round(sum.ms + ms);
}

/** A call of a model by the current work. */
export function spendOnModel(
  model: string,
  { ms, inputTokens = 0, outputTokens = 0, costUsd }: { ms: number } & Partial<Omit<ModelSpending, 'calls' | 'ms'>>,
): void {
  const account = current.getStore();
  if (account === undefined) return;
  const sum = ((account.models ??= {})[model] ??= {
    calls: 0,
    ms: 0,
    inputTokens: 0,
    outputTokens: 0,
    costUsd: null,
  });
  sum.calls += 1;
  sum.ms = round(sum.ms + ms);
  sum.inputTokens += inputTokens;
  sum.outputTokens += outputTokens;
  if (typeof costUsd === 'number') sum.costUsd = (sum.costUsd ?? 0) + costUsd;
}

/** Was anything spent? Most steps spend nothing, and record nothing then. */
export function isSpent({ backend, models }: Spending): boolean {
  return backend !== undefined || models !== undefined;
}

const round = (ms: number) => Math.round(ms * 10) / 10;
