import { budgetLevels, budgetPeriods } from '@flowstate/contracts';
import type { Logger } from '@flowstate/runtime';
import { listBudgets, type BudgetUse, type Sql } from '@flowstate/store';
import { Gauge, type Registry } from '@prometheus-io/client';

/** How far budgets are used up. Whose they are is no label: `flowstate budgets list` names them. */
export function budgetMetrics(registry: Registry, sql: Sql, log: Logger): void {
  const registers = [registry];
  /** Nothing while Postgres is away: a number from before would look like the truth. */
  async function withBudgets(gauge: Gauge, show: (budgets: BudgetUse[]) => void): Promise<void> {
    gauge.reset();
    try {
      show(await listBudgets(sql));
    } catch (error) {
      log.warn({ err: error }, 'budgets cannot be read');
    }
  }
  new Gauge({
    name: 'flowstate_budget_used_ratio',
    help: 'Spent share of the budget that is used up most; 0 without one',
    labelNames: ['level', 'period'],
    registers,
    collect() {
      return withBudgets(this, (budgets) => {
        for (const level of budgetLevels) {
          for (const period of budgetPeriods) {
            if (level === 'run' && period !== 'total') continue;
            const these = budgets.filter((budget) => budget.level === level && budget.period === period);
            this.set({ level, period }, Math.max(0, ...these.map(usedRatio)));
          }
        }
      });
    },
  });
  new Gauge({
    name: 'flowstate_budget_paused_runs',
    help: 'Runs that wait for room in a budget',
    registers,
    collect() {
      return withBudgets(this, (budgets) => this.set(budgets.reduce((sum, { pausedRuns }) => sum + pausedRuns, 0)));
    },
  });
}

/** One of nothing is a switch, and never about to be used up. */
function usedRatio({ maxTokens, maxMicroUsd, spentTokens, spentMicroUsd }: BudgetUse): number {
  const ratio = (spent: number, most: number | null) => (most === null || most === 0 ? 0 : spent / most);
  return Math.max(ratio(spentTokens, maxTokens), ratio(spentMicroUsd, maxMicroUsd));
}
