import { fileURLToPath } from 'node:url';
import { createSql } from '@flowstate/store';
import { startPlatform, startRecorder } from '@flowstate/test';
import t from 'tap';
import { findPgbouncer, startPgbouncer } from '../support/pgbouncer.ts';

const workflows = fileURLToPath(new URL('../fixtures/workflows', import.meta.url));
const poolSize = 6;
const found = await findPgbouncer();

type Run = { id: string; state: string };

if (typeof found === 'string') {
  t.pass('PgBouncer', { skip: found });
} else {
  let pooled = '';
  const platform = await startPlatform(t, {
    workflows,
    async env({ url }) {
      pooled = await startPgbouncer(t, { ...found, databaseUrl: url, poolSize });
      return { DATABASE_URL: pooled, DATABASE_DIRECT_URL: url };
    },
  });
  const manager = await platform.as('manager');
  const { sql } = platform.database;

  t.test('each kind of session is planned for as without a pooler', async (t) => {
    for (const ledger of [true, false]) {
      const pool = createSql(pooled, { name: 'flowstate-test', max: 1, ledger });
      const [{ enable_seqscan: scans } = {}] = await pool`SHOW enable_seqscan`;
      const [{ plan_cache_mode: plans } = {}] = await pool`SHOW plan_cache_mode`;
      t.same([scans, plans], ledger ? ['off', 'force_generic_plan'] : ['on', 'auto']);
      await pool.end();
    }
  });

  t.test('many runs share few connections; beside them stands one session for each that lives or leads', async (t) => {
    const recorder = await startRecorder(t);
    const input = { recorder: recorder.url, steps: 2 };
    const started = await Promise.all(
      Array.from({ length: 60 }, () =>
        manager.post<Run>('/api/workflows/recorded-steps/runs', { input }, { prefer: 'wait=30' }),
      ),
    );
    t.same(new Set(started.map(({ body }) => body.state)), new Set(['completed']));
    const rows = await sql<{ name: string; connections: number }[]>`
      SELECT regexp_replace(application_name, '-\\d+$', '') AS name, count(*)::int AS connections FROM pg_stat_activity
      WHERE datname = current_database() AND application_name LIKE 'flowstate-%' AND application_name <> 'flowstate-test'
      GROUP BY 1`;
    const all = rows.reduce((sum, { connections }) => sum + connections, 0);
    t.comment(rows.map(({ name, connections }) => `${name} ${connections}`).join(', '));
    t.ok(all <= 2 * poolSize + 2, `${all} connections`);
  });

  t.test('who is killed is noticed by the session that ends with it', async (t) => {
    const recorder = await startRecorder(t);
    recorder.hold('step-2');
    const { body } = await manager.post<Run>('/api/workflows/recorded-steps/runs', {
      input: { recorder: recorder.url, steps: 3 },
    });
    await recorder.called('step-2');
    // A pure step's record may be on its way while the next step runs; only a recorded one must not repeat.
    for await (const { event } of manager.events(body.id)) if (event === 'step.completed') break;
    const [standby] = await Promise.all([platform.addController(), platform.addWorker()]);
    const killedAt = performance.now();
    await Promise.all([platform.worker, platform.controller].map((service) => service.kill('SIGKILL')));
    recorder.release('step-2');
    await standby.logged((line) => line.msg === 'leading now');
    t.match((await Array.fromAsync(manager.events(body.id))).at(-1), { event: 'run.completed' });
    t.comment(`went on and ended ${Math.round(performance.now() - killedAt)} ms after the kill`);
    t.same(
      recorder.calls.map((call) => call.split('/')[1]),
      ['step-1', 'step-2', 'step-2', 'step-3'],
    );
  });
}
