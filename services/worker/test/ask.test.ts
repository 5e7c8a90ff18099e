import { createCircuit, createEndpointModel } from '@flowstate/models';
import { handBackRun, readEvents, readSteps } from '@flowstate/store';
import { createTestDatabase, scripted, startModelServer, type ModelScript } from '@flowstate/test';
import {
  defineModelAgent,
  defineTool,
  defineWorkflow,
  type ModelAgent,
  type Tool,
  type Workflow,
} from '@flowstate/workflow';
import t, { type Test } from 'tap';
import Type from 'typebox';
import { acceptRun, beginRun } from './fixtures/begin-run.ts';

const { sql } = await createTestDatabase(t);

const Answer = Type.Object({ total: Type.Integer() }, { additionalProperties: false });
const Order = Type.Object({ order: Type.String() }, { additionalProperties: false });
const Price = Type.Object({ price: Type.Integer() });
type Agent = ModelAgent<typeof Order, typeof Answer>;

const price = defineTool({
  name: 'price',
  description: 'The price of an order',
  input: Order,
  output: Price,
  effect: 'pure',
  run: (_ctx, { order }) => ({ price: order.length }),
});

const agentWith = (changed: Partial<Agent> = {}): Agent =>
  defineModelAgent({
    name: 'adder',
    description: '',
    input: Order,
    output: Answer,
    instructions: 'Add up.',
    prompt: ({ order }) => `Order ${order}`,
    tools: [price as Tool],
    ...changed,
  });

let count = 0;
/** A run of one question, asked of a model that says what the script says. */
async function setUp(t: Test, script: ModelScript, changed: Partial<Agent> = {}, models = ['m']) {
  const server = await startModelServer(t, script);
  const model = createEndpointModel({ baseUrl: server.url, models, circuit: createCircuit() });
  count += 1;
  const workflow = defineWorkflow(
    {
      name: `ask${count}`,
      version: '1',
      description: '',
      input: Type.Unknown(),
      output: Type.Unknown(),
      retry: { attempts: 1 },
    },
    (ctx) => ctx.ask(agentWith(changed), { order: 'abc' }),
  ) as Workflow;
  const id = await acceptRun(sql, workflow);
  const begin = (options: Parameters<typeof beginRun>[3] = {}) => beginRun(sql, workflow, id, { model, ...options });
  return { server, id, begin };
}

const lookAt = (order: unknown) => ({ calls: [{ tool: 'price', input: { order } }] });

t.test('a question is answered by way of a tool; every call is a step, what is said is live news', async (t) => {
  const checked: unknown[] = [];
  const { server, id, begin } = await setUp(t, scripted(lookAt('abc'), { json: { total: 3 }, usage: [40, 9] }), {
    check(output, input, evidence) {
      checked.push({ output, input, evidence });
      return [];
    },
  });
  const news: { type: string; data: Record<string, unknown> }[] = [];
  const { done } = await begin({ publish: (told) => void (Array.isArray(told) || news.push(told)) });
  t.same(await done, { state: 'completed', output: { total: 3 } });
  t.match(await readSteps(sql, id), [
    { name: 'adder/model#1', effect: 'keyed' },
    { name: 'adder/tool#1.1', effect: 'pure', output: { output: { price: 3 } } },
    { name: 'adder/model#2', output: { model: 'm', usage: { inputTokens: 40, outputTokens: 9 } } },
  ]);
  t.match(server.requests[0]?.body.messages, [
    { role: 'system', content: /Add up\.[\s\S]*data[\s\S]*JSON of this schema:\n\{.*"total"/ },
    { role: 'user', content: 'Order abc' },
  ]);
  t.match(server.requests[1]?.body.messages.slice(2), [
    { role: 'assistant', tool_calls: [{ id: 'call_0_0', function: { name: 'price', arguments: '{"order":"abc"}' } }] },
    { role: 'tool', tool_call_id: 'call_0_0', content: '{"price":3}' },
  ]);
  t.same(checked, [
    {
      output: { total: 3 },
      input: { order: 'abc' },
      evidence: [{ tool: 'price', input: { order: 'abc' }, output: { price: 3 } }],
    },
  ]);
  const said = news.filter(({ type }) => type === 'progress').map(({ data }) => data);
  t.match(said[0], { agent: 'adder', step: 'adder/model#2' });
  t.equal(said.map(({ text }) => text as string).join(''), '{"total":3}');
});

t.test('without a model the answer is null, and stays so where the run goes on with one', async (t) => {
  const { server, id, begin } = await setUp(t, scripted({ json: { total: 1 } }));
  const gate = Promise.withResolvers<void>();
  const workflow = defineWorkflow(
    { name: 'without', version: '1', description: '', input: Type.Unknown(), output: Type.Unknown() },
    async (ctx) => {
      const answer = await ctx.ask(agentWith(), { order: 'abc' });
      await ctx.step('after', () => gate.promise);
      return { answer };
    },
  ) as Workflow;
  const run = await acceptRun(sql, workflow);
  const first = await beginRun(sql, workflow, run);
  while ((await readEvents(sql, run)).every(({ type }) => type !== 'value.recorded')) await new Promise(setImmediate);
  first.lose();
  await first.done;
  await handBackRun(sql, first.me, run);
  gate.resolve();
  const model = createEndpointModel({ baseUrl: server.url, models: ['m'], circuit: createCircuit() });
  t.same(await (await beginRun(sql, workflow, run, { model })).done, { state: 'completed', output: { answer: null } });
  t.equal(server.requests.length, 0);
  t.match(await (await begin()).done, { state: 'completed', output: { total: 1 } }, `while ${id} has one`);
});

t.test('an answer of the wrong shape, or objected to, is sent back, a few times', async (t) => {
  const objecting: Partial<Agent> = { check: ({ total }) => (total === 3 ? [] : [`total: ${total} is not 3`]) };
  const turns = [
    { text: 'Three!' },
    { json: { total: 'three' } },
    { text: '```json\n{"total": 4}\n```' },
    { text: 'Here: {"total": 3}.' },
  ];
  const mended = await setUp(t, scripted(...turns), objecting);
  t.match(await (await mended.begin()).done, { state: 'completed', output: { total: 3 } });
  const repairs = mended.server.requests.at(-1)?.body.messages.filter(({ role }) => role === 'user');
  t.match(
    repairs?.map(({ content }) => content),
    [/Order/, /it is not JSON/, /answer\.total must be integer/, /total: 4 is not 3/],
  );
  const hopeless = await setUp(t, scripted(...Array.from({ length: 8 }, () => ({ json: { total: 4 } }))), objecting);
  t.match(await (await hopeless.begin()).done, {
    state: 'failed',
    error: { code: 'upstream_failed', message: /no acceptable answer within 4 calls .*total: 4 is not 3/ },
  });
});
