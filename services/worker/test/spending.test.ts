import { randomUUID } from 'node:crypto';
import { budgetSignal, FlowstateError, type StoredBudget } from '@flowstate/contracts';
import { createCircuit, createEndpointModel } from '@flowstate/models';
import { createLogger } from '@flowstate/runtime';
import {
  forkRun,
  handBackRun,
  putBudget,
  readRun,
  readUsage,
  resumePausedRuns,
  retryRuns,
  type AcceptedRun,
} from '@flowstate/store';
import {
  createTestDatabase,
  createTestRedis,
  openRedis,
  scripted,
  startModelServer,
  type ModelScript,
} from '@flowstate/test';
import { defineModelAgent, defineTool, defineWorkflow, type Tool, type Workflow } from '@flowstate/workflow';
import t, { type Test } from 'tap';
import Type from 'typebox';
import { v7 as uuidv7 } from 'uuid';
import { createModelRate } from '../src/model-rate.ts';
import { createSpending } from '../src/spending.ts';
import { createThroughOutages } from '../src/through-outages.ts';
import { acceptRun, beginRun } from './fixtures/begin-run.ts';

const { sql } = await createTestDatabase(t);
const { url: redisUrl } = await createTestRedis(t);
const redis = openRedis(redisUrl);
t.teardown(() => redis.disconnect());
const log = createLogger('test', 'silent');
const prices = { big: [2_500_000, 10_000_000], small: [150_000, 600_000] } as const;

const agent = defineModelAgent({
  name: 'adder',
  description: '',
  input: Type.Object({}),
  output: Type.Object({ total: Type.Integer() }),
  instructions: 'Add up.',
  prompt: () => 'What is the total?',
  maxOutputTokens: 100,
  tools: [
    defineTool({
      name: 'rows',
      description: '',
      input: Type.Object({}),
      output: Type.Array(Type.Integer()),
      effect: 'pure',
      run: () => [1, 2],
    }) as Tool,
  ],
});

let count = 0;
/** A run that asks a model which says what the script says; budgets and rate as a worker has them. */
async function setUp(
  t: Test,
  script: ModelScript,
  { requests, ...overrides }: Partial<AcceptedRun> & { requests?: number } = {},
) {
  const server = await startModelServer(t, script);
  const model = createEndpointModel({ baseUrl: server.url, models: ['big'], circuit: createCircuit() });
  count += 1;
  const schema = { input: Type.Unknown(), output: Type.Unknown(), version: '1', description: '' };
  const workflow = defineWorkflow({ name: `spend${count}`, ...schema }, (ctx) => ctx.ask(agent, {})) as Workflow;
  const id = await acceptRun(sql, workflow, {}, overrides);
  const rate = createModelRate(redis, { requests, tokens: undefined }, log);
  const throughOutages = createThroughOutages(log);
  return {
    server,
    id,
    workflow: workflow.name,
    begin: () =>
      beginRun(sql, workflow, id, {
        model,
        spendingFor: (me) => createSpending({ sql, owner: () => me, prices, rate, throughOutages }),
      }),
    usage: async () => (await readUsage(sql, { by: 'run', runId: id, limit: 2 }))[0],
    budget: (changed: Partial<StoredBudget>) =>
      putBudget(sql, {
        level: 'workflow',
        subject: workflow.name,
        period: 'day',
        maxTokens: null,
        maxMicroUsd: null,
        atLimit: 'fail',
        cheaperModel: null,
        ...changed,
      }),
  };
}

const looking = { calls: [{ tool: 'rows', input: {} }], usage: [50, 10] as [number, number] };
const answering = { json: { total: 3 }, usage: [80, 20] as [number, number] };

/** Reservations whose step is on record, but not what it used: there must be none, whenever somebody looks. */
const forgotten = () => sql`
  SELECT c.id FROM model_calls c WHERE c.settled_at IS NULL AND EXISTS (
    SELECT FROM (SELECT events FROM run_journal WHERE run_id = c.run_id
                 UNION ALL SELECT events FROM run_ends WHERE id = c.run_id) r
    WHERE r.events LIKE '%"reservation":"' || c.id || '"%')`;

t.test('every call is reserved before it is made, and settled with its step, the last one with the run', async (t) => {
  const { server, begin, usage } = await setUp(t, scripted(looking, answering));
  server.hold(1);
  const { done } = await begin();
  await server.asked(1);
  t.match(await usage(), { calls: 2, unsettledCalls: 1, inputTokens: 50, outputTokens: 10, microUsd: 225 });
  server.release(1);
  t.match(await done, { state: 'completed' });
  // 130 × 2.5 + 30 × 10 = 625 millionths.
  t.match(await usage(), { calls: 2, unsettledCalls: 0, inputTokens: 130, outputTokens: 30, microUsd: 625 });
  t.equal((await forgotten()).length, 0);
});

t.test(
  'a worker that dies in the middle of a call: what it reserved counts as spent, its steps as settled',
  async (t) => {
    const { server, id, begin, usage } = await setUp(t, scripted(looking, answering));
    server.hold(1);
    const first = await begin();
    await server.asked(1);
    first.lose();
    await first.done;
    await handBackRun(sql, first.me, id);
    server.release(1);
    t.match(await (await begin()).done, { state: 'completed' });
    const used = await usage();
    t.match(used, { calls: 3, unsettledCalls: 1, inputTokens: 130, outputTokens: 30, microUsd: 625 });
    t.ok((used?.reservedTokens ?? 0) > 100, 'nobody knows whether the provider was asked');
    t.equal(server.requests.length, 3, 'what was recorded is not asked again');
    t.equal((await forgotten()).length, 0);
  },
);

t.test('a call that its provider refuses costs nothing; one that was cut off costs what it reserved', async (t) => {
  const { id, begin, usage } = await setUp(
    t,
    scripted([{ status: 429, retryAfter: '0' }, { text: '{"to', cut: true }, answering]),
  );
  // A second until the next try may be waited for without a worker.
  while ((await (await begin()).done).state === 'waiting')
    await sql`UPDATE run_live SET state = 'queued', wake_at = NULL WHERE id = ${id}`;
  t.match(await usage(), { calls: 3, unsettledCalls: 1, inputTokens: 80, outputTokens: 20 });
  t.equal((await forgotten()).length, 0);
});

t.test('a budget of nothing: the run fails and says which, and nobody was asked', async (t) => {
  const { server, begin, workflow, budget, usage } = await setUp(t, scripted(answering));
  await budget({ maxTokens: 0 });
  const outcome = await (await begin()).done;
  t.match(outcome, {
    state: 'failed',
    error: {
      code: 'budget_exhausted',
      message: new RegExp(`budget of workflow ${workflow}, day: its 0 tokens leave no room`),
    },
  });
  t.equal(server.requests.length, 0);
  t.equal(await usage(), undefined);
});

t.test('a model without a price is refused where money counts', async (t) => {
  const { begin, budget } = await setUp(t, scripted(answering));
  await budget({ maxMicroUsd: 1, atLimit: 'cheaper', cheaperModel: 'free' });
  t.match(await (await begin()).done, { state: 'failed', error: { message: /free has no price in LLM_PRICES/ } });
});

t.test('the cheaper model is asked where the dearer one has no room', async (t) => {
  const { server, begin, budget, usage } = await setUp(t, scripted(looking, answering));
  await budget({ maxMicroUsd: 1_200, atLimit: 'cheaper', cheaperModel: 'small' });
  t.match(await (await begin()).done, { state: 'completed' });
  t.ok(server.requests.some(({ body }) => body.model === 'small'));
  t.ok(((await usage())?.microUsd ?? 0) <= 1_200);
});

t.test('a paused run waits without a worker, and goes on when somebody has raised the budget', async (t) => {
  const principalId = randomUUID();
  const { server, id, begin, budget, usage } = await setUp(t, scripted(answering), { principalId });
  const cap = { level: 'principal', subject: principalId, period: 'month', atLimit: 'pause' } as const;
  await budget({ ...cap, maxTokens: 10 });
  t.match(await (await begin()).done, { state: 'waiting' });
  t.match(await readRun(sql, id), { state: 'waiting' });
  t.equal(server.requests.length, 0);
  t.same(await resumePausedRuns(sql, 10), [], 'as long as there is no room');
  await budget({ ...cap, maxTokens: 10_000 });
  t.match(await resumePausedRuns(sql, 10), [{ runId: id }], `told by ${budgetSignal}`);
  t.match(await (await begin()).done, { state: 'completed' });
  t.match(await usage(), { calls: 1, unsettledCalls: 0 });
});

t.test('a run that ends while it is paused goes on when it is retried, and so does a fork of it', async (t) => {
  const server = await startModelServer(t, scripted(answering));
  const model = createEndpointModel({ baseUrl: server.url, models: ['big'], circuit: createCircuit() });
  const schema = { input: Type.Unknown(), output: Type.Unknown(), version: '1', description: '' };
  let broken = true;
  const asked = Promise.withResolvers<void>();
  const workflow = defineWorkflow({ name: 'paused-and-over', ...schema }, async (ctx) => {
    const total = ctx.ask(agent, {});
    total.catch(() => {});
    await ctx.step('meanwhile', () => asked.promise);
    await ctx.step('breaks', () => {
      if (broken) throw new FlowstateError('not_found', 'broken');
    });
    return total;
  }) as Workflow;
  const id = await acceptRun(sql, workflow);
  const rate = createModelRate(redis, { requests: undefined, tokens: undefined }, log);
  const throughOutages = createThroughOutages(log);
  const begin = (runId: string) =>
    beginRun(sql, workflow, runId, {
      model,
      spendingFor: (me) => createSpending({ sql, owner: () => me, prices, rate, throughOutages }),
      publish: (news) => {
        if (Array.isArray(news) && news.some(({ type }) => type === 'wait.begun')) asked.resolve();
      },
    });
  const cap = {
    level: 'workflow',
    subject: workflow.name,
    period: 'total',
    atLimit: 'pause',
    cheaperModel: null,
  } as const;
  await putBudget(sql, { ...cap, maxTokens: 10, maxMicroUsd: null });
  t.match(await (await begin(id)).done, { state: 'failed' });
  await resumePausedRuns(sql, 10);
  await putBudget(sql, { ...cap, maxTokens: 10_000, maxMicroUsd: null });

  broken = false;
  const fork = uuidv7();
  await forkRun(sql, { runId: id, fromStep: 'breaks', id: fork, principalId: randomUUID(), role: 'manager' });
  await retryRuns(sql, [id], 'tester');
  for (const runId of [id, fork]) {
    t.match(await (await begin(runId)).done, { state: 'completed', output: { total: 3 } });
  }
});

t.test("the provider's rate is waited for without a worker", async (t) => {
  await redis.hset('{flowstate}:model-rate', 'next', 0);
  const { server, id, begin, usage } = await setUp(t, scripted(looking, answering), { requests: 1 });
  t.match(await (await begin()).done, { state: 'waiting' });
  t.equal(server.requests.length, 1);
  t.match(await usage(), { calls: 1 }, 'what has to wait reserves nothing');
  const [row] = await sql`SELECT wake_at > now() + interval '30 seconds' AS later FROM run_live WHERE id = ${id}`;
  t.equal(row?.['later'], true);
});
