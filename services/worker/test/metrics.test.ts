import t from 'tap';
import { createWorkerMetrics } from '../src/metrics.ts';

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
  t.match(text, /^worker_active_runs 3$/m);
  t.match(text, /^worker_concurrency 4$/m);
});
