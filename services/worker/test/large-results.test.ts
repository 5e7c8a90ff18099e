import { maxResultBytes, type PayloadRef, type RunEvent, type RunProgress } from '@flowstate/contracts';
import {
  forkRun,
  handBackRun,
  payloadRef,
  readEndedRun,
  readEvents,
  readPayload,
  readRun,
  readSteps,
  registerWorker,
  listRuns,
  storePayload,
} from '@flowstate/store';
import { createTestDatabase } from '@flowstate/test';
import { defineWorkflow, type Workflow } from '@flowstate/workflow';
import t from 'tap';
import Type from 'typebox';
import { v7 as uuidv7 } from 'uuid';
import { acceptRun, beginRun } from './fixtures/begin-run.ts';

const { sql } = await createTestDatabase(t);
const anything = { input: Type.Unknown(), output: Type.Unknown() };
type Run = Parameters<typeof defineWorkflow<typeof anything.input, typeof anything.output>>[1];
let count = 0;

function define(run: Run): Workflow {
  count += 1;
  const name = `large${count}`;
  return defineWorkflow({ name, version: '1', description: '', retry: { attempts: 1 }, ...anything }, run) as Workflow;
}

const large = (letter: string) => letter.repeat(300_000);
const payloads = (id: string) => sql`SELECT hash, bytes FROM run_payloads WHERE run_id = ${id} ORDER BY hash`;

t.test('a large result is stored once, referred to by events, and shown by the API', async (t) => {
  const workflow = define(async (ctx) => {
    await ctx.step('small', () => 'x');
    const first = await ctx.step('first', () => large('ü'), { effect: 'keyed' });
    await ctx.step('again', () => large('ü'));
    return first;
  });
  const id = await acceptRun(sql, workflow);
  const published: (RunEvent | RunProgress)[] = [];
  const { done } = await beginRun(sql, workflow, id, {
    publish: (_news, json) => void published.push(...[JSON.parse(json()) as RunEvent[] | RunProgress].flat()),
  });
  await done;

  const ref = payloadRef(JSON.stringify(large('ü')));
  t.equal(ref.bytes, 600_002, 'bytes, not characters');
  t.same(await payloads(id), [{ hash: ref.ref, bytes: ref.bytes }], 'two steps and the output share it');
  const [sizes] = await sql`
    SELECT (SELECT sum(length(events)) FROM run_journal WHERE run_id = ${id}) AS journal, length(events) AS events, output
    FROM run_ends WHERE id = ${id}`;
  t.ok(Number(sizes?.journal) + Number(sizes?.events) < 5_000, 'the journal is small');
  t.equal(sizes?.output, null);

  const recorded = await readEvents(sql, id);
  for (const events of [recorded, published]) {
    t.ok(JSON.stringify(events).length < 5_000, 'events carry no large value');
    const ends = events.filter(({ type }) => type === 'step.completed');
    t.match(
      ends.map(({ data }) => data),
      [{ output: 'x' }, { outputRef: ref }, { outputRef: ref }],
    );
  }
  t.same(
    (await readSteps(sql, id)).map(({ output }) => output),
    ['x', large('ü'), large('ü')],
  );
  t.match(await readRun(sql, id), { state: 'completed', output: large('ü') });
  const [listed] = await listRuns(sql, { workflow: workflow.name, limit: 1 });
  t.same(listed?.output, ref, 'lists stay small');
  t.same((await readEndedRun(sql, id, 1))?.output, ref, 'and so do webhooks');
});

t.test('another worker takes the recorded value over, in recorded order, and runs nothing again', async (t) => {
  const calls: string[] = [];
  const gate = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  let hold = true;
  const workflow = define(async (ctx) => {
    const order: string[] = [];
    const branch = async (name: string, fn: () => string | Promise<string>) => {
      const value = await ctx.step(name, fn, { effect: 'keyed' });
      order.push(name);
      return value.length;
    };
    const bigDone = Promise.withResolvers<void>();
    const lengths = await ctx.all([
      branch('big', () => {
        calls.push('big');
        setImmediate(() => bigDone.resolve());
        return large('a');
      }),
      // Ends after the large one, and must do so on replay too although that one has to be loaded.
      branch('tiny', async () => {
        calls.push('tiny');
        await bigDone.promise;
        while (!(await readEvents(sql, ctx.runId)).some(({ data }) => data.name === 'big' && 'outputRef' in data));
        return 'b';
      }),
    ]);
    await ctx.step('held', async () => {
      calls.push('held');
      reached.resolve();
      if (hold) await gate.promise;
    });
    return { order, lengths };
  });
  const id = await acceptRun(sql, workflow);
  const dying = await beginRun(sql, workflow, id);
  await reached.promise;
  dying.lose();
  await dying.done;
  await handBackRun(sql, dying.me, id);
  hold = false;
  t.same(await (await beginRun(sql, workflow, id)).done, {
    state: 'completed',
    output: { order: ['big', 'tiny'], lengths: [300_000, 1] },
  });
  t.same(calls, ['big', 'tiny', 'held', 'held']);
});

t.test('only the owner may store: who lost the run leaves no payload and records nothing', async (t) => {
  let takeOver = async () => {};
  const workflow = define(async (ctx) =>
    ctx.step('late', async () => {
      await takeOver();
      return large('c');
    }),
  );
  const id = await acceptRun(sql, workflow);
  takeOver = async () => void (await sql`UPDATE run_live SET owner = -1 WHERE id = ${id}`);
  t.same(await (await beginRun(sql, workflow, id)).done, { state: 'lost' });
  t.same(await payloads(id), []);
  t.notOk((await readEvents(sql, id)).some(({ type }) => type === 'step.completed'));
});

t.test('results and outputs over the limit fail with their size, and store nothing', async (t) => {
  const tooLarge = () => 'x'.repeat(maxResultBytes - 1); // two quotes more
  const step = define(async (ctx) => ctx.step('huge', tooLarge));
  const output = define(async () => tooLarge());
  const message = new RegExp(`is ${maxResultBytes + 1} bytes as JSON, over ${maxResultBytes}`);
  for (const [workflow, named] of [
    [step, { step: 'huge' }],
    [output, {}],
  ] as const) {
    const id = await acceptRun(sql, workflow);
    t.match(await (await beginRun(sql, workflow, id)).done, {
      state: 'failed',
      error: { code: 'payload_too_large', message, ...named },
    });
    t.same(await payloads(id), []);
  }
  const fits = define(async (ctx) => (await ctx.step('just', () => 'x'.repeat(maxResultBytes - 2))).length);
  t.match(await (await beginRun(sql, fits, await acceptRun(sql, fits))).done, { output: maxResultBytes - 2 });
});

t.test('a fork takes the large results before its step along', async (t) => {
  const calls: string[] = [];
  const workflow = define(async (ctx) => {
    const value = await ctx.step('before', () => {
      calls.push('before');
      return large('d');
    });
    await ctx.step('after', () => calls.push('after'));
    return value.length;
  });
  const runId = await acceptRun(sql, workflow);
  await (
    await beginRun(sql, workflow, runId)
  ).done;
  const [principal] = await sql<{ principal_id: string }[]>`SELECT principal_id FROM runs WHERE id = ${runId}`;
  const id = uuidv7();
  await forkRun(sql, { runId, fromStep: 'after', id, role: 'manager', principalId: principal?.principal_id ?? '' });
  // Retention may take the old run at any time.
  await sql`DELETE FROM run_payloads WHERE run_id = ${runId}`;
  t.match(await (await beginRun(sql, workflow, id)).done, { state: 'completed', output: 300_000 });
  t.same(calls, ['before', 'after', 'after']);
});

t.test("a worker's database role may store and read payloads, and drop nothing", async (t) => {
  const workflow = define(async () => null);
  const id = await acceptRun(sql, workflow);
  const me = await registerWorker(sql, { host: 'test', pid: 1, bundle: 'test', carries: [], concurrency: 1 });
  await sql`UPDATE run_live SET owner = ${me} WHERE id = ${id}`;
  const data = JSON.stringify(large('e'));
  const ref: PayloadRef = payloadRef(data);
  await sql.begin(async (tx) => {
    await tx`SET LOCAL ROLE flowstate_worker`;
    t.equal(await storePayload(tx, { runId: id, owner: me, json: data, ...ref }), true);
    t.equal(
      await storePayload(tx, { runId: id, owner: me, json: data, ...ref }),
      true,
      'again: the answer was lost, say',
    );
    t.equal(await readPayload(tx, id, ref.ref), data);
  });
  await t.rejects(
    sql.begin(async (tx) => {
      await tx`SET LOCAL ROLE flowstate_worker`;
      await tx`SELECT drop_ledger_partition('runs', '2020_01', now())`;
    }),
    { message: /permission denied for function drop_ledger_partition/ },
  );
});
