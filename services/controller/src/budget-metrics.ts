import { budgetLevels, budgetPeriods } from '@flowstate/contracts';
import type { Logger } from '@flowstate/runtime';
import { listBudgets, type BudgetUse, type Sql } from '@flowstate/store';
import type { Registry } from '@prometheus-io/client';
import { createScrapedGauges } from './scraped-gauges.ts';

/** How far budgets are used up. Whose they are is no label: `flowstate budgets list` names them. */
export function budgetMetrics(registry: Registry, sql: Sql, log: Logger): void {
  const gauge = createScrapedGauges({ registry, log, read: () => listBudgets(sql), trouble: 'budgets cannot be read' });
  gauge({
    name: 'flowstate_budget_used_ratio',
    help: 'Spent share of the budget that is used up most; 0 without one',
    labelNames: ['level', 'period'],
    samples: (budgets) =>
      budgetLevels.flatMap((level) =>
        budgetPeriods
          .filter((period) => level !== 'run' || period === 'total')
          .map((period) => {
            const these = budgets.filter((budget) => budget.level === level && budget.period === period);
            return [{ level, period }, Math.max(0, ...these.map(usedRatio))];
          }),
      ),
  });
  gauge({
    name: 'flowstate_budget_paused_runs',
    help: 'Runs that wait for room in a budget',
    samples: (budgets) => [[{}, budgets.reduce((sum, { pausedRuns }) => sum + pausedRuns, 0)]],
  });
}

/** One of nothing is a switch, and never about to be used up. */
function usedRatio({ maxTokens, maxMicroUsd, spentTokens, spentMicroUsd }: BudgetUse): number {
  const ratio = (spent: number, most: number | null) => (most === null || most === 0 ? 0 : spent / most);
  return Math.max(ratio(spentTokens, maxTokens), ratio(spentMicroUsd, maxMicroUsd));
}
