import { fileURLToPath } from 'node:url';
import { startPlatform, startRecorder } from '@flowstate/test';
import t from 'tap';

const workflows = fileURLToPath(new URL('../fixtures/workflows', import.meta.url));
const platform = await startPlatform(t, { workflows });
const { sql } = platform.database;
const manager = await platform.as('manager');

type Schedule = { id: string; state: string; nextAt: string; lastRunId: string | null };
type Run = { id: string; state: string; scheduleId: string; input: unknown };

async function numberOf(query: Promise<readonly { n: number }[]>): Promise<number> {
  return (await query)[0]?.n ?? 0;
}
const firings = () => numberOf(sql<{ n: number }[]>`SELECT count(*) AS n FROM schedule_firings`);
const due = () => numberOf(sql<{ n: number }[]>`SELECT count(*) AS n FROM schedules WHERE next_at <= now()`);

t.test('the controller is killed while schedules fire: none is lost, none is doubled', async (t) => {
  const recorder = await startRecorder(t);
  const schedules = 60; // some transactions' worth
  const rounds = 4;
  const created = await Promise.all(
    Array.from({ length: schedules }, () =>
      manager.post<Schedule>('/api/schedules', {
        workflow: 'recorded-steps',
        input: { recorder: recorder.url, steps: 1 },
        cron: '0 0 1 1 *',
      }),
    ),
  );
  t.ok(created.every(({ status, body }) => status === 201 && body.state === 'active'));

  for (let round = 0; round < rounds; round++) {
    const before = await firings();
    await sql`UPDATE schedules SET next_at = now()`;
    // The first has just been fired, or a few more: right in the middle.
    while ((await firings()) === before);
    await platform.controller.kill('SIGKILL');
    t.comment(`killed after ${(await firings()) - before} of ${schedules}`);
    await platform.controller.restart();
    while ((await due()) > 0);
  }

  await recorder.called('step-1', schedules * rounds);
  const runs = await Promise.all(
    created.map(
      async ({ body }) => (await manager.get<{ items: Run[] }>(`/api/runs?scheduleId=${body.id}`)).body.items,
    ),
  );
  t.ok(
    runs.every(({ length }) => length === rounds),
    'each schedule has a run for each of its due times',
  );
  for (const run of runs.flat()) {
    const events = await Array.fromAsync(manager.events(run.id));
    if (events.at(-1)?.event !== 'run.completed') t.fail(`run ${run.id} ended with ${events.at(-1)?.event}`);
  }
  t.equal(recorder.calls.length, schedules * rounds, 'and each ran once');
  const [first] = created;
  t.match((await manager.get<Schedule>(`/api/schedules/${first?.body.id}`)).body, {
    state: 'active',
    nextAt: /-01-01T00:00:00\.000Z$/,
    lastRunId: runs[0]?.[0]?.id,
  });
});

t.test('what a schedule did is measured, and why it is suspended is said', async (t) => {
  const { body } = await manager.post<Schedule>('/api/schedules', {
    workflow: 'throwing',
    input: { message: 'x' },
    everyMs: 3_600_000,
    overlap: 'skip',
  });
  await sql`UPDATE users SET disabled_at = now() WHERE email = 'manager@flowstate.local'`;
  await sql`UPDATE schedules SET next_at = now() WHERE id = ${body.id}`;
  await platform.controller.logged((line) => line.msg === 'schedule suspended' && line['scheduleId'] === body.id);
  const admin = await platform.as('admin');
  t.match((await admin.get(`/api/schedules/${body.id}`)).body, {
    state: 'suspended',
    lastError: 'Its owner is disabled',
    nextAt: null,
  });
  const metrics = await (await fetch(`${platform.controller.url}/metrics`)).text();
  t.match(metrics, /^flowstate_schedules_suspended_total 1$/m);
  t.match(metrics, /^flowstate_schedules_due_lag_seconds 0$/m);
  for (const name of ['fired', 'missed', 'skipped'])
    t.match(metrics, new RegExp(`^flowstate_schedules_${name}_total \\d`, 'm'));
});
