import type { BudgetKey, StoredBudget } from '@flowstate/contracts';
import type { Db } from '../client.ts';

/**
 * With what is spent of it in this period: of a budget for each subject by the one who spent most, of one for each run
 * nothing.
 */
export type BudgetUse = StoredBudget & { spentTokens: number; spentMicroUsd: number; pausedRuns: number };

/** All budgets that were set. */
export async function listBudgets(db: Db): Promise<BudgetUse[]> {
  return db<BudgetUse[]>`
    SELECT b.level, b.subject, b.period, b.max_tokens AS "maxTokens", b.max_micro_usd AS "maxMicroUsd",
           b.at_limit AS "atLimit", b.cheaper_model AS "cheaperModel",
           coalesce(s.tokens, 0) AS "spentTokens", coalesce(s.micro_usd, 0) AS "spentMicroUsd",
           (SELECT count(*)::int FROM budget_pauses p JOIN run_live l ON l.id = p.run_id
            WHERE p.level = b.level AND p.period = b.period
              AND b.subject = (SELECT subject FROM budgets_of(p.level, p.subject) o WHERE o.period = p.period)) AS "pausedRuns"
    FROM budgets b
    LEFT JOIN LATERAL (
      SELECT max(spent_tokens(s, b.period, t.today)) AS tokens, max(spent_micro_usd(s, b.period, t.today)) AS micro_usd
      FROM model_spending s, (SELECT (now() AT TIME ZONE 'GMT')::date AS today) t
      WHERE s.level = b.level AND (s.subject = b.subject OR (b.subject = '' AND b.level <> 'run' AND NOT EXISTS (
        SELECT FROM budgets own WHERE own.level = s.level AND own.period = b.period AND own.subject = s.subject)))
    ) s ON true
    ORDER BY array_position(ARRAY['run', 'principal', 'workflow', 'model'], b.level), b.subject, b.period`;
}

/** Sets a budget anew. */
export async function putBudget(db: Db, budget: StoredBudget): Promise<void> {
  await db`
    INSERT INTO budgets (level, subject, period, max_tokens, max_micro_usd, at_limit, cheaper_model)
    VALUES (${budget.level}, ${budget.subject}, ${budget.period}, ${budget.maxTokens}, ${budget.maxMicroUsd},
            ${budget.atLimit}, ${budget.cheaperModel})
    ON CONFLICT (level, subject, period) DO UPDATE SET max_tokens = excluded.max_tokens,
      max_micro_usd = excluded.max_micro_usd, at_limit = excluded.at_limit, cheaper_model = excluded.cheaper_model,
      updated_at = now()`;
}

/** False when there was none. */
export async function deleteBudget(db: Db, { level, subject, period }: BudgetKey): Promise<boolean> {
  const rows = await db`
    DELETE FROM budgets WHERE level = ${level} AND subject = ${subject} AND period = ${period} RETURNING level`;
  return rows.length === 1;
}
