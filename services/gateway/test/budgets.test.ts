import { publishWorkflow, registerWorker, reserveModelCalls, settleModelCalls } from '@flowstate/store';
import t from 'tap';
import { v7 as uuidv7 } from 'uuid';
import { createGatewayFixture } from './fixtures/gateway-fixture.ts';

t.test('budgets and usage', async (t) => {
  const { users, sql, addGateway } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const admin = await gateway.tokenOf('admin');
  const schema = { version: '1', description: '', queue: 'workflows' as const, input: {}, output: {} };
  const workflowId = await publishWorkflow(sql, { name: 'asks', ...schema });
  const owner = await registerWorker(sql, { host: 'test', pid: 1, bundle: 'test', carries: [], concurrency: 1 });
  const put = (body: object, token = admin) => gateway.call('PUT', '/api/admin/budgets', { token, body });

  /** A run of that user which asked a model that often. */
  async function spend(userId: string, model: string, calls: number): Promise<string> {
    const runId = uuidv7();
    await sql`
      INSERT INTO runs (id, workflow_id, principal_id, role, priority, tags, input)
      VALUES (${runId}, ${workflowId}, ${userId}, 'agent', 5, '{}', '{}')`;
    await sql`
      INSERT INTO run_live (id, queue, priority, ready_at, state, owner, workflow_id, principal_id)
      VALUES (${runId}, 'workflows', 5, now(), 'running', ${owner}, ${workflowId}, ${userId})`;
    const asked = Array.from({ length: calls }, (_, i) => ({
      id: uuidv7(),
      runId,
      step: `ask/model#${i}`,
      attempt: 1,
      model,
      inputTokens: 1_000,
      maxOutputTokens: 500,
    }));
    await reserveModelCalls(sql, owner, asked, { big: [2_000_000, 8_000_000] });
    const settled = asked.map(({ id }) => ({ reservation: id, inputTokens: 900, outputTokens: 100 }));
    await settleModelCalls(sql, [{ owner, settled }]);
    return runId;
  }

  await t.test('a budget is set, shown with what is spent of it, and taken back', async (t) => {
    const body = { level: 'principal', subject: users.agent.id, period: 'month', maxUsd: 0.05, atLimit: 'pause' };
    t.match(await put(body), { status: 200, body: { ...body, maxTokens: null, cheaperModel: null } });
    await spend(users.agent.id, 'big', 2);
    // 900 × 2 + 100 × 8 = 2,600 millionths a call.
    t.match(await gateway.call('GET', '/api/admin/budgets', { token: admin }), {
      status: 200,
      body: { items: [{ ...body, spentTokens: 2_000, spentUsd: 0.0052, pausedRuns: 0 }], nextCursor: null },
    });
    const query = `level=principal&subject=${users.agent.id}&period=month`;
    t.match(await gateway.call('DELETE', `/api/admin/budgets?${query}`, { token: admin }), { status: 204 });
    t.match(await gateway.call('DELETE', `/api/admin/budgets?${query}`, { token: admin }), { status: 404 });
  });

  await t.test('what makes no sense is refused by name', async (t) => {
    const total = { level: 'workflow', period: 'total', maxTokens: 1 };
    for (const [body, field] of [
      [{ level: 'run', period: 'total' }, 'maxTokens'],
      [{ level: 'run', period: 'day', maxTokens: 1 }, 'period'],
      [{ ...total, maxTokens: -1 }, 'maxTokens'],
      [{ ...total, maxTokens: 1.5 }, 'maxTokens'],
      [{ ...total, maxUsd: 0.000_000_1 }, 'maxUsd'],
      [{ ...total, atLimit: 'cheaper' }, 'cheaperModel'],
      [{ ...total, cheaperModel: 'small' }, 'cheaperModel'],
      [{ ...total, level: 'model', subject: 'm', atLimit: 'cheaper', cheaperModel: 'm' }, 'cheaperModel'],
      [{ ...total, period: 'week' }, 'period'],
      [{ ...total, level: 'team' }, 'level'],
      [{ ...total, subject: 'nothing' }, 'subject'],
      [{ ...total, level: 'principal', subject: 'somebody' }, 'subject'],
      [{ ...total, level: 'run', subject: uuidv7() }, 'subject'],
      [{ ...total, limit: 1 }, 'limit'],
    ] as const) {
      t.match(await put(body), { status: 400, body: { errors: [{ field }] } }, JSON.stringify(body));
    }
    t.match(await put(total, await gateway.tokenOf('manager')), { status: 403 });
  });

  await t.test('usage: all of it for who sees all runs, their own for the others', async (t) => {
    const run = await spend(users.service.id, 'free', 1);
    const get = async (role: keyof typeof users, query: string) =>
      gateway.call('GET', `/api/usage?${query}`, { token: await gateway.tokenOf(role) });
    t.match(await get('analyst', 'by=model'), {
      status: 200,
      body: {
        items: [
          { key: 'big', calls: 2, inputTokens: 1_800, outputTokens: 200, costUsd: 0.0052, unsettledCalls: 0 },
          { key: 'free', calls: 1, costUsd: null, unpricedCalls: 1 },
        ],
      },
    });
    const own = await get('service', 'by=principal');
    t.match(own.body, { items: [{ key: users.service.id, calls: 1 }], nextCursor: null });
    t.equal((own.body['items'] as unknown[]).length, 1);
    t.match(await get('service', `by=run&runId=${run}`), { body: { items: [{ key: run }] } });
    t.same((await get('agent', `by=run&runId=${run}`)).body['items'], []);
    t.same((await get('agent', `principalId=${users.service.id}`)).body['items'], []);
    t.same((await get('integration', '')).body['items'], []);
    const today = new Date().toISOString().slice(0, 10);
    t.match(await get('manager', `from=${today}&to=${today}&workflow=asks`), {
      body: { items: [{ key: today, calls: 3 }] },
    });
    t.same((await get('manager', 'to=2020-01-01')).body['items'], []);

    const first = await get('admin', 'by=run&limit=1');
    t.match(first.body, { items: [{ key: run }], nextCursor: run });
    t.match((await get('admin', `by=run&limit=1&cursor=${run}`)).body, { items: [{ calls: 2 }], nextCursor: null });
    for (const wrong of ['by=team', 'from=yesterday', 'by=run&cursor=x', 'cursor=2020-99-99', 'limit=0', 'month=1']) {
      t.match(await get('admin', wrong), { status: 400 }, wrong);
    }
  });
});
