import { createSql, handBackRun, raiseEpoch, readEvents, readRun, readSteps } from '@flowstate/store';
import { createTestDatabase, startCable } from '@flowstate/test';
import { defineWorkflow, type Workflow } from '@flowstate/workflow';
import t from 'tap';
import Type from 'typebox';
import type { Authority } from '../src/backend.ts';
import { acceptRun } from './fixtures/begin-run.ts';
import { createTestRunner } from './fixtures/test-runner.ts';

t.setTimeout(60_000);

t.test('what was taken from a worker and given back runs there once, and only what was taken stops', async (t) => {
  const { sql } = await createTestDatabase(t);
  const begun: AbortSignal[] = [];
  const waiters: (() => void)[] = [];
  const beginning = async (times: number) => {
    while (begun.length < times) await new Promise<void>((resolve) => waiters.push(resolve));
  };
  const go = Promise.withResolvers<void>();
  const workflow = defineWorkflow(
    { name: 'deaf', version: '1', description: '', input: Type.Unknown(), output: Type.Unknown() },
    (ctx) =>
      ctx.step('hold', async ({ signal }) => {
        begun.push(signal);
        for (const wake of waiters.splice(0)) wake();
        await go.promise; // whatever the signal says
        return begun.indexOf(signal) + 1;
      }),
  ) as Workflow;
  const id = await acceptRun(sql, workflow);
  const { me, runner, feed } = await createTestRunner(sql, workflow);
  await feed(id);
  const first = runner.deliver(id);
  await beginning(1);
  const askedAt = performance.now();
  t.ok(await handBackRun(sql, me, id), 'taken away, and ready again');
  const second = runner.deliver(id);
  await beginning(2);
  t.same(await first, { ok: true, note: 'lost' });
  t.equal(begun[0]?.aborted, true, 'the first was told');

  runner.lose(id, askedAt);
  t.equal(begun[1]?.aborted, false, 'an answer from before its claim is not about the second');
  t.same(runner.held(), [id]);
  go.resolve();
  t.same(await second, { ok: true, note: 'completed' });
  t.match(await readRun(sql, id), { state: 'completed', output: 2 });
  t.same(runner.held(), []);
});

t.test('a run whose end cannot be written does not stay with its worker, which would never end it', async (t) => {
  const { sql } = await createTestDatabase(t);
  const workflow = defineWorkflow(
    { name: 'unlucky', version: '1', description: '', input: Type.Unknown(), output: Type.Unknown() },
    async () => 'ran',
  ) as Workflow;
  const id = await acceptRun(sql, workflow);
  const { runner, feed } = await createTestRunner(sql, workflow);
  await sql`
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no end today'; END $$`;
  await sql`CREATE TRIGGER refuse BEFORE INSERT ON run_ends FOR EACH ROW EXECUTE FUNCTION refuse()`;

  await feed(id);
  for (const crashes of [1, 2]) {
    await t.rejects(runner.deliver(id), /no end today/);
    t.match(await sql`SELECT state, owner, crashes FROM run_live WHERE id = ${id}`, [
      { state: 'queued', owner: null, crashes },
    ]);
  }
  await t.rejects(runner.deliver(id), /no end today/);
  t.match(await readRun(sql, id), { state: 'parked', error: { message: 'Its workers could not go on with it' } });
  t.match((await readEvents(sql, id)).at(-1), { type: 'run.parked' });

  await sql`DROP TRIGGER refuse ON run_ends`;
  await sql`UPDATE run_live SET state = 'queued' WHERE id = ${id}`;
  t.same(await runner.deliver(id), { ok: true, note: 'completed' });
});

t.test('a run that was not taken away after all is given back by the worker that was told so', async (t) => {
  const { sql } = await createTestDatabase(t);
  const workflow = defineWorkflow(
    { name: 'held', version: '1', description: '', input: Type.Unknown(), output: Type.Unknown() },
    async () => 'ran',
  ) as Workflow;
  const id = await acceptRun(sql, workflow);
  await raiseEpoch(sql); // whoever claims it asks
  // Contained when the gateway looked, released before it had put the run in quarantine.
  const answers: Authority[] = ['lost', 'granted'];
  const authority = async () => answers.shift() as Authority;
  const { runner, feed } = await createTestRunner(sql, workflow, { authority });
  await feed(id);
  t.same(await runner.deliver(id), { ok: true, note: 'lost' });
  t.match(await sql`SELECT state, owner FROM run_live WHERE id = ${id}`, [{ state: 'queued', owner: null }]);
  t.same(await runner.deliver(id), { ok: true, note: 'completed' });
});

t.test(
  'what a worker still writes of a claim that Postgres forgot is not taken for what it writes after the next',
  async (t) => {
    const { sql, url } = await createTestDatabase(t);
    const cable = await startCable(t, url);
    const distant = createSql(cable.url, { name: 'writes', max: 2 });
    t.teardown(() => distant.end());
    let looks = 0;
    const unwritten = Promise.withResolvers<void>();
    const workflow = defineWorkflow(
      { name: 'twice-claimed', version: '1', description: '', input: Type.Unknown(), output: Type.Unknown() },
      async (ctx) => {
        const look = await ctx.step('look', async () => {
          looks += 1;
          if (looks === 1) await cable.cut();
          return looks;
        });
        if (looks === 1) unwritten.resolve();
        await ctx.step('pay', () => null, { effect: 'keyed' });
        return look;
      },
    ) as Workflow;
    const id = await acceptRun(sql, workflow);
    const { runner, feed } = await createTestRunner(sql, workflow, { writes: distant });
    await feed(id);
    const first = runner.deliver(id);
    await unwritten.promise;
    // A crash of Postgres: what was committed without waiting for the disk is gone, writes find it back after a while.
    await sql`UPDATE run_live SET owner = NULL, state = 'queued', started_at = NULL WHERE id = ${id}`;
    const second = runner.deliver(id);
    while ((await readRun(sql, id))?.state === 'queued');
    await cable.mend();
    t.same(
      [await first, await second],
      [
        { ok: true, note: 'lost' },
        { ok: true, note: 'completed' },
      ],
    );
    const [step] = await readSteps(sql, id);
    t.match(
      await readRun(sql, id),
      { state: 'completed', output: step?.output },
      'what is on record is what it went on with',
    );
  },
);
