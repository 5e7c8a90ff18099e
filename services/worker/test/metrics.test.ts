import { FlowstateError } from '@flowstate/contracts';
import { callModel, observeModelCalls } from '@flowstate/tracing';
import { Registry } from '@prometheus-io/client';
import t from 'tap';
import { createWorkerMetrics } from '../src/metrics.ts';
import { createModelMetrics } from '../src/model-metrics.ts';

const build = { FLOWSTATE_VERSION: 'test', FLOWSTATE_COMMIT: 'test' };

t.test('names made at run time do not make a series each', async (t) => {
  const metrics = createWorkerMetrics(build, { workflows: ['own', 'other'], concurrency: 4, activeRuns: () => 0 });
  const count = async (name: string, label: string) => {
    const text = await metrics.registry.getSingleMetricAsString(name);
    return new Set([...text.matchAll(new RegExp(`${label}="([^"]*)"`, 'g'))].map(([, value]) => value));
  };
  for (let i = 0; i < 10_000; i++) {
    metrics.stepDone('other', `map#${i}[${i}]/embed`, 0.1);
    metrics.stepDone('own', `customer-${i}`, 0.1);
    metrics.backendAnswered({ operation: `customers.read.${i}`, status: '200', seconds: 0.1 });
  }
  const steps = await count('worker_step_duration_seconds', 'step');
  t.equal(steps.size, 102, 'a hundred of one workflow, the declared one of the other, and the rest');
  for (const name of ['map/embed', 'customer-0', 'customer-99', 'other']) t.ok(steps.has(name), name);
  const operations = await count('worker_backend_requests_total', 'operation');
  t.equal(operations.size, 101);
  t.ok(operations.has('other'));
});

t.test('what a run can become is shown before it happens', async (t) => {
  const { registry } = createWorkerMetrics(build, { workflows: ['own'], concurrency: 4, activeRuns: () => 3 });
  const text = await registry.metrics();
  for (const status of ['started', 'completed', 'failed', 'cancelled', 'parked']) {
    t.match(text, `worker_agent_workflows_total{workflow="own",status="${status}"} 0`);
  }
  t.match(text, /^worker_runs_lost_total 0$/m);
  t.match(text, 'worker_guardrail_dropped_sentences_total{agent="answer-writer"} 0');
  t.match(text, /^worker_active_runs 3$/m);
  t.match(text, /^worker_concurrency 4$/m);
});

t.test('tokens and cost of models, by the names of the configuration', async (t) => {
  const registry = new Registry();
  const metrics = createModelMetrics(registry, ['big', 'embedder']);
  observeModelCalls({ costUsd: (model) => (model === 'big' ? 0.25 : null), onCall: metrics.onCall });
  const call = (model: string, operation: 'chat' | 'embeddings', inputTokens: number, outputTokens = 0) =>
    callModel({ operation, provider: 'openai', model }, async (used) => used({ inputTokens, outputTokens }));
  await call('big', 'chat', 100, 20);
  await call('big', 'chat', 50);
  await call('embedder', 'embeddings', 7);
  for (let i = 0; i < 50; i++) await call(`made-up-${i}`, 'chat', 1);
  await t.rejects(
    callModel({ operation: 'chat', provider: 'openai', model: 'big' }, async () => {
      throw new FlowstateError('rate_limited', 'not now');
    }),
  );
  const text = await registry.metrics();
  for (const line of [
    'worker_model_tokens_total{model="big",direction="input"} 150',
    'worker_model_tokens_total{model="big",direction="output"} 20',
    'worker_model_tokens_total{model="embedder",direction="input"} 7',
    'worker_model_tokens_total{model="other",direction="input"} 50',
    'worker_model_cost_usd_total{model="big"} 0.75',
    'worker_model_requests_total{model="big",operation="chat",status="ok"} 2',
    'worker_model_requests_total{model="big",operation="chat",status="rate_limited"} 1',
    'worker_model_requests_total{model="embedder",operation="embeddings",status="ok"} 1',
    'worker_model_decisions_total{decision="refused"} 0',
  ]) {
    t.ok(text.includes(`${line}\n`), line);
  }
  t.notMatch(text, 'made-up');
});
