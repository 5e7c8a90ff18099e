import { join } from 'node:path';
import t from 'tap';
import { startMonitored } from './fixtures/monitored-platform.ts';

const { collector, folder, platform, admin, flowstate } = await startMonitored(t);
const { gateway, worker, controller } = platform;

t.test('one run is explained: queue, claim, steps with their calls, engine', async (t) => {
  t.match(await admin.post('/api/customers', { externalId: 'C-1', name: 'Acme' }), { status: 201 });
  const started = await admin.post<{ id: string; state: string; traceId: string }>(
    '/api/workflows/customer-insights/runs',
    { input: { customerId: 'C-1', asOf: '2026-01-31T18:00:00Z' } },
    { prefer: 'wait=60' },
  );
  t.match(started.body, { state: 'completed' }, JSON.stringify(started.body));
  const { id, traceId } = started.body;
  t.match(traceId, /^[0-9a-f]{32}$/);
  const { code, out } = await flowstate(['run', 'explain', id]);
  t.equal(code, 0);
  t.match(out, new RegExp(`Run ${id} of customer-insights: completed in [^\\n]*trace ${traceId}`));
  t.match(out, /queue[^]*claim[^]*steps[^]*engine[^]*interaction[^]*reporting[^]*cost: /);
  type Explained = {
    totalMs: number;
    time: Record<string, number>;
    steps: { name: string; backend: { operation: string; calls: number; ms: number }[] }[];
  };
  const explained = JSON.parse((await flowstate(['run', 'explain', id, '--json'])).out) as Explained;
  const sum = Object.values(explained.time).reduce((all, ms) => all + ms, 0);
  t.equal(Math.round(sum), Math.round(explained.totalMs), 'the parts make up the whole');
  t.ok(
    explained.steps.some(({ backend }) => backend.some(({ calls }) => calls > 0)),
    JSON.stringify(explained.steps),
  );

  const stranger = await platform.as('agent');
  t.equal((await stranger.get(`/api/runs/${id}/explain`)).status, 404, 'for whom there is no such run');
});

t.test('the level changes while everything runs, audited, and goes back by itself', async (t) => {
  const debug = ['log-level', 'debug', '--service', 'worker', '--reason', 'a look'];
  const changed = await flowstate(debug);
  t.match(changed, { code: 0, out: /worker +debug/ }, changed.err);
  const is = (level: string) => (line: { msg: string; level: string } & Record<string, unknown>) =>
    line.msg === 'log level changed' && (line as unknown as { before: string }).before !== level;
  await worker.logged(is('debug'));
  // Only now: a time that is over before the worker looks is none for it.
  t.match(await flowstate([...debug, '--for', '1s']), { code: 0 });
  await worker.logged((line) => line.msg === 'log level changed' && line['before'] === 'debug');
  t.notOk(
    gateway.log.some(({ msg }) => msg === 'log level changed'),
    'only the one that was named',
  );
  t.match(await flowstate(['log-level', 'error', '--reason', 'quiet']), { code: 0 });
  await Promise.all(
    [gateway, worker, controller].map((service) =>
      service.logged((line) => line.msg === 'log level changed' && line['before'] === 'info'),
    ),
  );
  t.match(await flowstate(['log-level', '--reset']), { code: 0, out: /LOG_LEVEL/ });
  await controller.logged((line) => line.msg === 'log level changed' && line['before'] === 'error');
  t.match(await flowstate(['log-level', 'loud', '--reason', 'wrong']), { code: 2 });
  t.match(await flowstate(['log-level', 'debug']), { code: 2, err: /--reason/ });
  const { out } = await flowstate(['audit', 'list', '--action', 'log-level.set', '--json']);
  t.match(out, /a look/);
  t.match(await (await platform.as('manager')).get('/api/admin/log-levels'), { status: 403 });
});

t.test('every step of the runbook is done and does what it says', async (t) => {
  const { body } = await admin.get<{ items: { id: string }[] }>('/api/runs');
  const set = [`RUN=${body.items[0]?.id}`, 'LIMITS=weight=2'];
  const planned = await flowstate(['runbook', 'monitoring', '--dry-run', '--act', '--set', ...set, '--json']);
  t.equal(planned.code, 0, planned.err);
  const looked = JSON.parse(planned.out) as { steps: { title: string; state: string; changes: string | null }[] };
  t.ok(looked.steps.length >= 11);
  t.ok(looked.steps.some(({ changes, state }) => changes !== null && state === 'would run'));

  const args = [
    'runbook',
    'monitoring',
    '--act',
    '--yes',
    '--incident',
    join(folder, 'incident'),
    '--set',
    ...set,
    '--json',
  ];
  const followed = await flowstate(args);
  type Step = { title: string; state: string; why: string | null; evidence: string };
  const { steps } = JSON.parse(followed.out) as { steps: Step[] };
  const told = steps
    .filter(({ state }) => state !== 'passed')
    .map(({ title, state, why, evidence }) => `${state}: ${title} (${why})\n${evidence}`);
  t.same(told, []);
  t.equal(followed.code, 0);
  t.match(await flowstate(['limits', 'list']), { code: 0, out: /default +weight=2/ });
  t.match(await flowstate(['limits', 'reset', 'default']), { code: 0 });

  const idle = JSON.parse((await flowstate(['runbook', 'monitoring', '--only', 'log ', '--json'])).out) as {
    steps: Step[];
  };
  t.match(idle.steps, [
    { state: 'skipped', why: /--act/ },
    { state: 'skipped', why: /--act/ },
  ]);
  await collector.become('gone');
  const broken = await flowstate(['runbook', 'monitoring', '--only', 'traces are missing', '--json']);
  t.equal(broken.code, 1);
  t.match((JSON.parse(broken.out) as { steps: Step[] }).steps, [
    { state: 'failed', evidence: /collector http:[^\n]*no answer/ },
  ]);
});
