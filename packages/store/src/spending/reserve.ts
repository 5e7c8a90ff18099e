import type { BudgetKey, BudgetLevel, MicroUsd, StoredBudget } from '@flowstate/contracts';
import type { Db } from '../client.ts';

/** What one call of a model may use at most. */
export type CallToReserve = {
  /** Made by the caller: asked again with the same, the answer is the same. */
  id: string;
  runId: string;
  step: string;
  attempt: number;
  model: string;
  inputTokens: number;
  maxOutputTokens: number;
};

/** Model → millionths of a dollar for a million input and output tokens. */
export type ModelPrices = Readonly<Record<string, readonly [input: MicroUsd, output: MicroUsd]>>;

export type Reservation = { id: string; model: string; needTokens: number; needMicroUsd: MicroUsd | null } & (
  | { decision: 'granted' }
  | { decision: 'pause' | 'refused'; budget: StoredBudget }
  /** The worker does not own the run (any more). */
  | { decision: 'lost' }
);

type Row = {
  id: string;
  decision: Reservation['decision'];
  model: string;
  needTokens: number;
  needMicroUsd: number | null;
  budget: {
    level: BudgetLevel;
    subject: string;
    period: BudgetKey['period'];
    max_tokens: number | null;
    max_micro_usd: number | null;
    at_limit: StoredBudget['atLimit'];
    cheaper_model: string | null;
  } | null;
};

/**
 * Reserves calls of models for runs that `owner` holds, in one round trip: each is granted only if it fits into every
 * budget, whatever others reserve at the same time. What is granted counts as spent until it is settled.
 */
export async function reserveModelCalls(
  db: Db,
  owner: number,
  calls: readonly CallToReserve[],
  prices: ModelPrices,
): Promise<Reservation[]> {
  const rows = await db<Row[]>`
    SELECT id, decision, use_model AS model, need_tokens AS "needTokens", need_micro_usd AS "needMicroUsd",
           to_json(budget) AS budget
    FROM reserve_model_calls(${owner}, ${JSON.stringify(calls)}::text::jsonb, ${JSON.stringify(prices)}::text::jsonb)`;
  const answers = new Map(rows.map((row) => [row.id, toReservation(row)]));
  return calls.map(({ id }) => {
    const answer = answers.get(id);
    if (answer === undefined) throw new Error(`No answer for the reservation ${id}`);
    return answer;
  });
}

function toReservation({ budget, decision, ...row }: Row): Reservation {
  if (decision === 'granted' || decision === 'lost') return { ...row, decision };
  if (budget === null) throw new Error(`The reservation ${row.id} was refused by no budget`);
  const { max_tokens: maxTokens, max_micro_usd: maxMicroUsd, at_limit: atLimit, cheaper_model: cheaperModel } = budget;
  const { level, subject, period } = budget;
  return { ...row, decision, budget: { level, subject, period, maxTokens, maxMicroUsd, atLimit, cheaperModel } };
}
