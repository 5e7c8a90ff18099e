import { flowstateDashboard } from '../flowstate-dashboard.ts';
import { graph } from '../panels.ts';

/** Where runs are, how long they take, and what becomes of them. */
export const workflows = flowstateDashboard('workflows', 'workflows')
  .withPanel(
    graph('Runs by what became of them', {
      says: 'A second, on all workers',
      unit: 'ops',
      queries: [['sum by (workflow, status) (flowstate:workflows:rate5m)', '{{workflow}} {{status}}']],
    }),
  )
  .withPanel(
    graph('Runs that have not ended', {
      says: 'parked: a person has to settle them; quarantined: their user is contained',
      unit: 'short',
      queries: [['max by (workflow, state) (flowstate_runs)', '{{workflow}} {{state}}']],
    }),
  )
  .withPanel(
    graph('Share that fails', {
      says: 'Of runs that ended within 15 minutes',
      unit: 'percentunit',
      queries: [['flowstate:workflows_failed:ratio_rate15m', '{{workflow}}']],
    }),
  )
  .withPanel(
    graph('Time until a run begins, 95 %', {
      says: 'Up: too few workers, or a line before it; see the scaling dashboard',
      unit: 's',
      queries: [['flowstate:run_wait_seconds:p95_5m', '{{workflow}}']],
    }),
  )
  .withPanel(
    graph('Time of a run on its worker, 95 %', {
      says: 'Without the time it waited for timers, signals and children',
      unit: 's',
      queries: [
        [
          'histogram_quantile(0.95, sum by (workflow, le) (rate(worker_run_latency_seconds_bucket{phase="run"}[$__rate_interval])))',
          '{{workflow}}',
        ],
      ],
    }),
  )
  .withPanel(
    graph('Time of a step, 95 %', {
      says: 'The slowest ten',
      unit: 's',
      queries: [
        [
          'topk(10, histogram_quantile(0.95, sum by (workflow, step, le) (rate(worker_step_duration_seconds_bucket[$__rate_interval]))))',
          '{{workflow}} {{step}}',
        ],
      ],
    }),
  )
  .withPanel(
    graph("Agents' calls of the gateway", {
      says: 'By operation and answer',
      unit: 'reqps',
      queries: [
        [
          'sum by (operation, status) (rate(worker_backend_requests_total[$__rate_interval]))',
          '{{operation}} {{status}}',
        ],
      ],
    }),
  )
  .withPanel(
    graph("Time of agents' calls, 95 %", {
      says: 'By operation',
      unit: 's',
      queries: [
        [
          'histogram_quantile(0.95, sum by (operation, le) (rate(worker_backend_request_duration_seconds_bucket[$__rate_interval])))',
          '{{operation}}',
        ],
      ],
    }),
  )
  .withPanel(
    graph('Runs taken from workers', {
      says: 'Reclaimed from dead ones, noticed by those thought dead, delivered again because Redis had forgotten them',
      unit: 'short',
      queries: [
        ['sum(increase(flowstate_runs_reclaimed_total[$__rate_interval]))', 'reclaimed'],
        ['sum(increase(worker_runs_lost_total[$__rate_interval]))', 'lost'],
        ['sum(increase(flowstate_runs_returned_total[$__rate_interval]))', 'delivered again'],
      ],
    }),
  )
  .withPanel(
    graph('Runs nobody can take', {
      says: 'No live worker carries their version',
      unit: 'short',
      queries: [['max by (workflow, version) (flowstate_runs_stranded)', '{{workflow}} {{version}}']],
    }),
  )
  .withPanel(
    graph('Schedules', {
      says: 'How late the longest due one is, and how many fired',
      unit: 'short',
      queries: [
        ['max(flowstate_schedules_due_lag_seconds)', 'seconds late'],
        ['sum(increase(flowstate_schedules_fired_total[$__rate_interval]))', 'fired'],
      ],
    }),
  )
  .withPanel(
    graph('Webhooks', {
      says: 'Tries by outcome, and what is still to be told',
      unit: 'short',
      queries: [
        ['sum by (outcome) (increase(flowstate_webhook_tries_total[$__rate_interval]))', '{{outcome}}'],
        ['max(flowstate_webhooks_pending)', 'pending'],
      ],
    }),
  )
  .withPanel(
    graph('Tokens of models', {
      says: 'A second, as their providers count them; the offline embedder says nothing',
      unit: 'short',
      queries: [
        ['sum by (model, direction) (rate(worker_model_tokens_total[$__rate_interval]))', '{{model}} {{direction}}'],
      ],
    }),
  )
  .withPanel(
    graph('Cost of models', {
      says: 'US dollars an hour, for models with a price in LLM_PRICES',
      unit: 'currencyUSD',
      queries: [['3600 * sum by (model) (rate(worker_model_cost_usd_total[$__rate_interval]))', '{{model}}']],
    }),
  )
  .withPanel(
    graph('Calls of models', {
      says: 'By answer; before them, what budgets and the rate of the provider said',
      unit: 'reqps',
      queries: [
        [
          'sum by (model, operation, status) (rate(worker_model_requests_total[$__rate_interval]))',
          '{{model}} {{operation}} {{status}}',
        ],
        ['sum by (decision) (rate(worker_model_decisions_total[$__rate_interval]))', 'decided: {{decision}}'],
      ],
    }),
  )
  .withPanel(
    graph('Budgets', {
      says: 'Spent share of the one that is used up most; `flowstate budgets list` names them',
      unit: 'percentunit',
      queries: [['max by (level, period) (flowstate_budget_used_ratio)', '{{level}} {{period}}']],
    }),
  )
  .withPanel(
    graph('Runs that wait for a budget', {
      says: 'They go on when somebody raises it, or its day or month is over',
      unit: 'short',
      queries: [['max(flowstate_budget_paused_runs)', 'runs']],
    }),
  );
