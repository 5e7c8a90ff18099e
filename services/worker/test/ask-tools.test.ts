import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { createCheck, FlowstateError } from '@flowstate/contracts';
import { handBackRun, readEvents, readSteps, resolveRun, sendSignal } from '@flowstate/store';
import { createTestDatabase, scripted } from '@flowstate/test';
import type { Backend } from '@flowstate/workflow';
import t from 'tap';
import Type from 'typebox';
import { askingRun, lookAt, priceTool } from './fixtures/asking-run.ts';

const { sql } = await createTestDatabase(t);
const done = { json: { total: 3 } };

/** What the model was told of its tool calls, out of its fence. */
const told = (server: Awaited<ReturnType<typeof askingRun>>['server']) =>
  server.requests
    .at(-1)
    ?.body.messages.filter(({ role }) => role === 'tool')
    .map(({ content }) => /^<data source="\w+">\n([^\n]*)\n<\/data>$/.exec(content ?? '')?.[1] ?? content);

t.test('whatever is wrong with a tool call becomes an answer the model can act on', async (t) => {
  let flaky = 0;
  const tools = [
    priceTool(),
    priceTool({ name: 'managers', roles: ['manager'] }),
    priceTool({ name: 'admins', roles: ['admin'] }),
    priceTool({ name: 'thrower', run: () => Promise.reject(new FlowstateError('not_found', 'no such order')) }),
    priceTool({
      name: 'flaky',
      run() {
        flaky += 1;
        if (flaky < 2) throw new Error('not yet');
        return { price: 7 };
      },
    }),
    priceTool({ name: 'endless', timeoutMs: 50, effect: 'unsafe', run: () => Promise.reject(new Error('refused')) }),
    priceTool({ name: 'slow', timeoutMs: 20, run: ({ signal }) => wait(60_000, undefined, { signal }) }),
    priceTool({ name: 'huge', output: Type.Unknown(), run: () => 'x'.repeat(10 * 1024 * 1024) }),
    priceTool({ name: 'wrong', run: () => ({ price: 'dear' }) }),
    priceTool({
      name: 'circular',
      run() {
        const a: Record<string, unknown> = {};
        a.a = a;
        return a;
      },
    }),
  ];
  const input = { order: 'abc' };
  const calls = [
    ...['price', 'managers', 'admins', 'invented', 'thrower', 'flaky', 'slow', 'huge', 'wrong', 'circular'].map(
      (tool) => ({ tool, input }),
    ),
    { tool: 'price', input: { order: 3, extra: true } },
    { tool: 'price', raw: '{"order": "ab' },
    { tool: 'endless', input },
  ];
  const { server, id, begin } = await askingRun(t, sql, scripted({ calls }, done), { agent: { tools } });
  t.match(await (await begin()).done, { state: 'completed', output: { total: 3 } });
  t.match(told(server), [
    '{"price":3}',
    '{"price":3}',
    /^Error: it may not be called on behalf of the role manager$/,
    /^Error: there is no such tool\. There is: price, managers, admins/,
    'Error: no such order',
    '{"price":7}',
    /^Error: slow took longer than 20 ms$/,
    /^Error: its answer is 10485762 bytes as JSON, over 65536: ask for less$/,
    /^Error: it answered something that is not of its schema: output.price must be integer/,
    /^Error: it answered something that is not of its schema: Converting circular/,
    /^Error: input.extra is not known here; input.order must be string$/,
    /^Error: input must be object$/,
    'Error: refused',
  ]);
  t.same(server.violations, []);
  t.same(
    server.requests[0]?.body.tools?.map(({ function: { name } }) => name).includes('admins'),
    false,
    'nor is it offered',
  );
  const steps = await readSteps(sql, id);
  t.notOk(
    steps.some(({ name }) => ['adder/tool#1.3', 'adder/tool#1.4', 'adder/tool#1.11'].includes(name)),
    'nothing ran for those',
  );
});

t.test('a model that never stops calling tools is told to answer, and then is given up', async (t) => {
  const agent = { maxCalls: 3 };
  const yields = await askingRun(t, sql, scripted(lookAt('a'), lookAt('b'), done), { agent });
  t.match(await (await yields.begin()).done, { state: 'completed' });
  t.same(
    yields.server.requests.map(({ body }) => body.tool_choice),
    ['auto', 'auto', 'none'],
  );
  const never = await askingRun(t, sql, scripted(lookAt('a'), lookAt('b'), lookAt('c')), { agent });
  t.match(await (await never.begin()).done, {
    state: 'failed',
    error: { code: 'upstream_failed', message: /within 3 calls of the model: it called tools to the last/ },
  });
  t.equal((await readSteps(sql, never.id)).filter(({ name }) => name.includes('tool')).length, 2);
});

t.test('over sixteen calls at once are answered, not made', async (t) => {
  let made = 0;
  const tools = [priceTool({ run: () => ({ price: ++made }) })];
  const calls = Array.from({ length: 40 }, (_, n) => ({ tool: 'price', input: { order: `${n}` } }));
  const { server, begin } = await askingRun(t, sql, scripted({ calls }, done), { agent: { tools } });
  t.match(await (await begin()).done, { state: 'completed' });
  t.equal(made, 16);
  t.match(
    told(server)?.slice(16),
    Array.from({ length: 24 }, () => /over 16 calls at once/),
  );
  t.same(server.violations, []);
});

t.test('a person agrees to a call, changes it or refuses; the run waits without a worker', async (t) => {
  const owner = randomUUID();
  const made: unknown[] = [];
  const tools = [
    priceTool({
      name: 'order',
      effect: 'unsafe',
      approval: true,
      run(_ctx, input) {
        made.push(input);
        return { price: 1 };
      },
    }),
  ];
  const script = scripted({ calls: [{ tool: 'order', input: { order: 'yacht' } }] }, done);
  const decisions = [
    { said: { decision: 'approve' }, input: { order: 'yacht' }, answer: '{"price":1}' },
    {
      said: { decision: 'edit', input: { order: 'boat' } },
      input: { order: 'boat' },
      answer: '{"inputAsApproved":{"order":"boat"},"output":{"price":1}}',
    },
    { said: { decision: 'refuse', reason: 'too dear' }, answer: 'Error: a person refused this call: too dear' },
  ];
  const questions: unknown[] = [];
  // The gateway's part has its own tests: it keeps the question and lists it.
  const backend: Backend = async ({ path, body, response }) => {
    questions.push({ path, body });
    return createCheck(response)({ id: randomUUID() });
  };
  for (const { said, input, answer } of decisions) {
    const { server, id, begin } = await askingRun(t, sql, script, { agent: { tools }, run: { principalId: owner } });
    t.match(await (await begin({ backend })).done, { state: 'waiting' });
    const [, asked] = await readSteps(sql, id);
    const signal = 'approval:adder/tool#1.1';
    t.match(asked, { name: 'adder/approval#1.1', output: { signal, tool: 'order', input: { order: 'yacht' } } });
    t.match((await readEvents(sql, id)).find(({ type }) => type === 'wait.begun')?.data, { signal, approval: true });
    const send = (data: unknown, principalId: string = randomUUID()) =>
      sendSignal(sql, { runId: id, name: signal, data, principalId });
    // Whoever asked does not count, nonsense decides nothing, and neither does an input the tool would not take.
    await send({ decision: 'approve' }, owner);
    await send('yes');
    await send({ decision: 'edit', input: { order: 7 } });
    t.match(await (await begin({ backend })).done, { state: 'waiting' });
    t.same(made.splice(0), []);
    await send(said);
    t.match(await (await begin({ backend })).done, { state: 'completed' });
    t.same(made.splice(0), input === undefined ? [] : [input]);
    t.same(told(server), [answer]);
    t.match(questions.splice(0), [
      { path: '/api/approvals', body: { step: 'adder/tool#1.1', tool: 'order', input: { order: 'yacht' } } },
    ]);
  }
});

t.test('an unsafe call that may have taken effect parks the run; what a person says of it is its answer', async (t) => {
  const begun = Promise.withResolvers<void>();
  let made = 0;
  const tools = [
    priceTool({
      effect: 'unsafe',
      run() {
        made += 1;
        begun.resolve();
        return new Promise(() => {});
      },
    }),
  ];
  const { server, id, begin } = await askingRun(t, sql, scripted(lookAt('abc'), done), { agent: { tools } });
  const dying = await begin();
  await begun.promise;
  dying.lose();
  await dying.done;
  await handBackRun(sql, dying.me, id);
  t.match(await (await begin()).done, { state: 'parked' });
  await resolveRun(sql, id, 'somebody', { outcome: 'happened', output: { price: 9 } });
  t.match(await (await begin()).done, { state: 'completed', output: { total: 3 } });
  t.equal(made, 1);
  t.same(told(server), ['{"price":9}']);
  t.same(server.violations, []);
});

t.test('an unsafe tool that says it may have taken effect parks the run, too', async (t) => {
  const doubt = () => Promise.reject(new FlowstateError('timeout', 'it may or may not have been sent'));
  const tools = [priceTool({ effect: 'unsafe', run: doubt })];
  const { id, begin } = await askingRun(t, sql, scripted(lookAt('abc'), done), { agent: { tools } });
  t.match(await (await begin()).done, { state: 'parked' });
  await resolveRun(sql, id, 'somebody', { outcome: 'happened', output: { price: 9 } });
  t.match(await (await begin()).done, { state: 'completed' });
});
