import type { Db } from '../client.ts';

/** What a reserved call really used. */
export type Settlement = { reservation: string; inputTokens: number; outputTokens: number };

/** What a write to the ledger settles, and for which worker. */
export type Settles = { owner: number; settled?: readonly Settlement[] };

/**
 * Settles calls of models, each once and only for the worker that reserved it; returns how many. Belongs into the
 * transaction that records the step: what is recorded is settled, what is not recorded stays reserved.
 */
export async function settleModelCalls(db: Db, settles: readonly Settles[]): Promise<number> {
  const told = settles.flatMap(({ owner, settled = [] }) => settled.map((settlement) => ({ ...settlement, owner })));
  if (told.length === 0) return 0;
  const [row] = await db<{ settled: number }[]>`
    SELECT settle_model_calls(${JSON.stringify(told)}::text::jsonb) AS settled`;
  return row?.settled ?? 0;
}
