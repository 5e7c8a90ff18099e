import { FlowstateError } from '@flowstate/contracts';
import { startAtZero } from '@flowstate/runtime';
import type { EndedModelCall } from '@flowstate/tracing';
import type { SpendingDecision } from '@flowstate/workflow';
import { Counter, type Registry } from '@prometheus-io/client';

/** What calls of models cost. `models` are those of the configuration; a budget may name others: they are `other`. */
export function createModelMetrics(registry: Registry, models: readonly string[]) {
  const registers = [registry];
  const known = new Set(models);
  const tokens = new Counter({
    name: 'worker_model_tokens_total',
    help: 'Tokens that models took in and put out, as their providers say; the offline embedder says nothing',
    labelNames: ['model', 'direction'],
    registers,
  });
  const cost = new Counter({
    name: 'worker_model_cost_usd_total',
    help: 'US dollars spent on models that have a price',
    labelNames: ['model'],
    registers,
  });
  const requests = new Counter({
    name: 'worker_model_requests_total',
    help: 'Calls of models; status is ok or the code of the error',
    labelNames: ['model', 'operation', 'status'],
    registers,
  });
  const decisions = new Counter({
    name: 'worker_model_decisions_total',
    help: 'Calls of language models by what budgets and the rate of the provider said before',
    labelNames: ['decision'],
    registers,
  });
  const shown = [...known, 'other'];
  startAtZero(
    tokens,
    shown.flatMap((model) => ['input', 'output'].map((direction) => ({ model, direction }))),
  );
  startAtZero(
    cost,
    shown.map((model) => ({ model })),
  );
  startAtZero(requests, [{ model: 'other', operation: 'chat', status: 'ok' }]);
  startAtZero(
    decisions,
    (['granted', 'pause', 'refused', 'later'] satisfies SpendingDecision['decision'][]).map((decision) => ({
      decision,
    })),
  );

  return {
    onCall({ model: name, operation, error, inputTokens, outputTokens, costUsd }: EndedModelCall): void {
      const model = known.has(name) ? name : 'other';
      requests.inc({ model, operation, status: statusOf(error) });
      tokens.inc({ model, direction: 'input' }, inputTokens);
      tokens.inc({ model, direction: 'output' }, outputTokens);
      if (costUsd !== null) cost.inc({ model }, costUsd);
    },
    onDecision(decision: SpendingDecision['decision']): void {
      decisions.inc({ decision });
    },
  };
}

function statusOf(error: unknown): string {
  if (error === undefined) return 'ok';
  return error instanceof FlowstateError ? error.code : 'internal';
}
