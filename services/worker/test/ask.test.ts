import { createCircuit, createEndpointModel } from '@flowstate/models';
import { handBackRun, readEvents, readSteps } from '@flowstate/store';
import { createTestDatabase, scripted, startModelServer } from '@flowstate/test';
import { defineWorkflow, type Workflow } from '@flowstate/workflow';
import t from 'tap';
import Type from 'typebox';
import { adder, askingRun, lookAt, priceTool, type Adder } from './fixtures/asking-run.ts';
import { acceptRun, beginRun } from './fixtures/begin-run.ts';

const { sql } = await createTestDatabase(t);

t.test('a question is answered by way of a tool; every call is a step, what is said is live news', async (t) => {
  const checked: unknown[] = [];
  const { server, id, begin } = await askingRun(
    t,
    sql,
    scripted(lookAt('abc'), { json: { total: 3 }, usage: [40, 9] }),
    {
      agent: {
        check(output, input, evidence) {
          checked.push({ output, input, evidence });
          return [];
        },
      },
    },
  );
  const news: { type: string; data: Record<string, unknown> }[] = [];
  const { done } = await begin({ publish: (told) => void (Array.isArray(told) || news.push(told)) });
  t.same(await done, { state: 'completed', output: { total: 3 } });
  t.match(await readSteps(sql, id), [
    { name: 'adder/model#1', effect: 'keyed' },
    { name: 'adder/tool#1.1', effect: 'pure', output: { output: { price: 3 } } },
    { name: 'adder/model#2', output: { model: 'm', usage: { inputTokens: 40, outputTokens: 9 } } },
  ]);
  const spent = (await readEvents(sql, id))
    .filter(({ type }) => type === 'step.completed')
    .map(({ data }) => data.spent);
  t.match(spent, [{ models: { m: { calls: 1 } } }, undefined, { models: { m: { inputTokens: 40, outputTokens: 9 } } }]);
  t.match(server.requests[0]?.body.messages, [
    { role: 'system', content: /Add up\.[\s\S]*data[\s\S]*JSON of this schema:\n\{.*"total"/ },
    { role: 'user', content: 'Order abc' },
  ]);
  t.match(server.requests[1]?.body.messages.slice(2), [
    { role: 'assistant', tool_calls: [{ id: 'call_0_0', function: { name: 'price', arguments: '{"order":"abc"}' } }] },
    { role: 'tool', tool_call_id: 'call_0_0', content: '<data source="price">\n{"price":3}\n</data>' },
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

t.test('an agent no provider would take is refused where it is declared', (t) => {
  for (const [changed, message] of [
    [{ name: 'an adder' }, /Agent an adder: an adder is no name/],
    [{ tools: [priceTool({ name: 'preis€' })] }, /preis€ is no name/],
    [{ tools: [priceTool(), priceTool()] }, /tool price is there twice/],
    [{ maxCalls: 0 }, /maxCalls/],
    [{ maxOutputTokens: 0.5 }, /maxOutputTokens/],
  ] as const) {
    t.throws(() => adder(changed), { code: 'invalid_input', message });
  }
  t.end();
});

t.test('without a model the answer is null, and stays so where the run goes on with one', async (t) => {
  const { server, id, begin } = await askingRun(t, sql, scripted({ json: { total: 1 } }));
  const gate = Promise.withResolvers<void>();
  const workflow = defineWorkflow(
    { name: 'without', version: '1', description: '', input: Type.Unknown(), output: Type.Unknown() },
    async (ctx) => {
      const answer = await ctx.ask(adder(), { order: 'abc' });
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

t.test('many are asked side by side, each by its own names and keys', async (t) => {
  const server = await startModelServer(t, scripted(lookAt('abc'), { json: { total: 3 } }));
  const model = createEndpointModel({ baseUrl: server.url, models: ['m'], circuit: createCircuit() });
  const workflow = defineWorkflow(
    { name: 'batch', version: '1', description: '', input: Type.Unknown(), output: Type.Unknown() },
    (ctx) => ctx.map(['a', 'b', 'ü'], (order, scope) => scope.ask(adder(), { order })),
  ) as Workflow;
  const id = await acceptRun(sql, workflow);
  const { done } = await beginRun(sql, workflow, id, { model });
  t.match(await done, { state: 'completed', output: [{ total: 3 }, { total: 3 }, { total: 3 }] });
  const names = (await readSteps(sql, id)).map(({ name }) => name);
  t.ok(
    [0, 1, 2].every((n) => names.includes(`map#1[${n}]/adder/tool#1.1`)),
    names.join(),
  );
  t.equal(new Set(server.requests.map(({ headers }) => headers['idempotency-key'])).size, 6);
});

t.test('an answer of the wrong shape, or objected to, is sent back, a few times', async (t) => {
  const agent: Partial<Adder> = { check: ({ total }) => (total === 3 ? [] : [`total: ${total} is not 3`]) };
  const turns = [
    { text: 'Three!' },
    { json: { total: 'three' } },
    { text: '```json\n{"total": 4}\n```' },
    { text: 'Here: {"total": 3}.' },
  ];
  const mended = await askingRun(t, sql, scripted(...turns), { agent });
  t.match(await (await mended.begin()).done, { state: 'completed', output: { total: 3 } });
  const repairs = mended.server.requests.at(-1)?.body.messages.filter(({ role }) => role === 'user');
  t.match(
    repairs?.map(({ content }) => content),
    [/Order/, /it is not JSON/, /answer\.total must be integer/, /total: 4 is not 3/],
  );
  const hopeless = await askingRun(t, sql, scripted(...Array.from({ length: 8 }, () => ({ json: { total: 4 } }))), {
    agent,
  });
  t.match(await (await hopeless.begin()).done, {
    state: 'failed',
    error: { code: 'upstream_failed', message: /no acceptable answer within 4 calls .*total: 4 is not 3/ },
  });
});
