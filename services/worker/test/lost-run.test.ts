import { createLogger } from '@flowstate/runtime';
import { handBackRun, handOver, listWorkflows, readRun, registerWorker } from '@flowstate/store';
import { createTestDatabase } from '@flowstate/test';
import { defineWorkflow, type Backend, type Workflow } from '@flowstate/workflow';
import t from 'tap';
import Type from 'typebox';
import { createCatalogue } from '../src/catalogue.ts';
import { createWorkerLedger } from '../src/ledger-port.ts';
import { createWorkerMetrics } from '../src/metrics.ts';
import { createRunner } from '../src/runner.ts';
import { acceptRun } from './fixtures/begin-run.ts';

t.setTimeout(60_000);

t.test('what was taken from a worker and given back runs there once, and only what was taken stops', async (t) => {
  const { sql } = await createTestDatabase(t);
  const log = createLogger('test', 'silent');
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
  const carries = (await listWorkflows(sql)).map((known) => known.id);
  const me = await registerWorker(sql, { host: 'test', pid: 1, bundle: 'test', carries, concurrency: 1 });
  const backend: Backend = () => Promise.reject(new Error('not used here'));
  const runner = createRunner({
    sql,
    log,
    catalogue: createCatalogue([workflow]),
    ledger: createWorkerLedger({
      sql,
      claimSql: sql,
      incarnation: () => me,
      carries,
      log,
      now: Date.now,
      confirmed: () => undefined,
      held: () => runner.held(),
      deliver: () => {},
    }),
    incarnation: () => me,
    backendFor: () => ({ call: backend, authority: async () => 'granted' }),
    publish: () => {},
    deliver: () => {},
    metrics: createWorkerMetrics(
      { FLOWSTATE_VERSION: 'test', FLOWSTATE_COMMIT: 'test' },
      { workflows: [], concurrency: 1, activeRuns: () => 0 },
    ),
  });
  await handOver(sql, [{ id, capped: false }]);
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
