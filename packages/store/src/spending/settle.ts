import type { Db } from '../client.ts';

/** What a reserved call really used. */
export type Settlement = { reservation: string; inputTokens: number; outputTokens: number };

/**
 * Settles calls that `owner` reserved, each once; returns how many. Belongs into the transaction that records the step:
 * what is recorded is settled, what is not recorded stays reserved.
 */
export async function settleModelCalls(db: Db, owner: number, settlements: readonly Settlement[]): Promise<number> {
  const told = settlements.map((settlement) => ({ ...settlement, owner }));
  const [row] = await db<{ settled: number }[]>`
    SELECT settle_model_calls(${JSON.stringify(told)}::text::jsonb) AS settled`;
  return row?.settled ?? 0;
}
