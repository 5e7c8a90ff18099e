import { fileURLToPath } from 'node:url';
import { scripted, startModelServer, startPlatform } from '@flowstate/test';
import t from 'tap';

const provider = await startModelServer(t, scripted({ json: { total: 3 }, usage: [40, 10] }));
const platform = await startPlatform(t, {
  workflows: fileURLToPath(new URL('../fixtures/workflows/summing.ts', import.meta.url)),
  env: {
    LLM_BASE_URL: provider.url,
    LLM_MODEL: 'big',
    LLM_PRICES: '{"big": {"input": 2.5, "output": 10}}',
    LLM_REQUESTS_PER_MINUTE: '6000',
  },
});
const [admin, agent] = await Promise.all([platform.as('admin'), platform.as('agent')]);

type Usage = { calls: number; unsettledCalls: number; costUsd: number; reservedTokens: number };

async function start(label: string): Promise<string> {
  const { body } = await agent.post<{ id: string }>('/api/workflows/summing/runs', { input: { label } });
  return body.id;
}
const lastOf = async (id: string) => (await Array.fromAsync(agent.events(id))).at(-1);
const usageOf = async (id: string) =>
  (await agent.get<{ items: Usage[] }>(`/api/usage?by=run&runId=${id}`)).body.items[0];
const setBudget = async (body: object) => (await admin.call('PUT', '/api/admin/budgets', { body })).status;
const budget = { level: 'workflow', subject: 'summing', period: 'day' };

t.test(
  'a run that waits for a budget goes on when an administrator raises it; it is paid for and counted',
  async (t) => {
    const paused = { ...budget, maxTokens: 10, atLimit: 'pause' };
    t.equal(await setBudget(paused), 200);
    const id = await start('patient');
    for await (const { event } of agent.events(id)) if (event === 'run.waiting') break;
    t.match((await admin.get('/api/admin/budgets')).body, { items: [{ ...paused, pausedRuns: 1, spentTokens: 0 }] });
    t.equal(provider.requests.length, 0);
    t.equal(await setBudget({ ...paused, maxTokens: 100_000 }), 200);
    t.match(await lastOf(id), { event: 'run.completed' });
    t.match(await usageOf(id), { calls: 1, unsettledCalls: 0, inputTokens: 40, outputTokens: 10, costUsd: 0.0002 });
    t.match((await agent.get(`/api/runs/${id}/explain`)).body, { costUsd: 0.0002, models: [{ model: 'big' }] });
    const metrics = await (await fetch(`${platform.worker.url}/metrics`)).text();
    for (const line of [
      'worker_model_tokens_total{model="big",direction="input"} 40',
      'worker_model_cost_usd_total{model="big"} 0.0002',
      'worker_model_requests_total{model="big",operation="chat",status="ok"} 1',
      'worker_model_decisions_total{decision="pause"} 1',
    ]) {
      t.ok(metrics.includes(`${line}\n`), line);
    }
  },
);

t.test('SIGKILL in the middle of a call: what it reserved stays spent, the run is paid for once more', async (t) => {
  provider.hold(0);
  const id = await start('unlucky');
  await provider.asked(0, 2);
  await platform.worker.kill('SIGKILL');
  provider.release(0);
  await platform.worker.restart();
  t.match(await lastOf(id), { event: 'run.completed' });
  t.match(await usageOf(id), { calls: 2, unsettledCalls: 1, costUsd: 0.0002, reservedTokens: Number });
  t.match((await admin.get('/api/admin/budgets')).body, {
    items: [{ spentTokens: 100 + ((await usageOf(id))?.reservedTokens ?? 0) }],
  });
});

t.test('a budget without room fails the run by name, and nobody is asked', async (t) => {
  const asked = provider.requests.length;
  t.equal(await setBudget({ ...budget, maxUsd: 0.0001 }), 200);
  const id = await start('poor');
  t.match(await lastOf(id), { event: 'run.failed' });
  t.match((await agent.get(`/api/runs/${id}`)).body, {
    error: { code: 'budget_exhausted', message: /budget of workflow summing, day: its 0\.0001 USD leave no room/ },
  });
  t.equal(provider.requests.length, asked);
  t.equal(await usageOf(id), undefined);
});
