import { fileURLToPath } from 'node:url';
import { startPlatform, startRecorder } from '@flowstate/test';
import t from 'tap';

const workflows = fileURLToPath(new URL('../fixtures/workflows', import.meta.url));
const window = 16;
const platform = await startPlatform(t, {
  workflows,
  env: { WORKER_CONCURRENCY: '2', QUEUE_WINDOW: String(window) },
});
const [admin, heavy, light] = await Promise.all([platform.as('admin'), platform.as('manager'), platform.as('agent')]);
const recorder = await startRecorder(t);

type Run = { id: string; state: string };
const start = (client: typeof heavy, priority = 5) =>
  client.post<Run>('/api/workflows/recorded-steps/runs', { input: { recorder: recorder.url, steps: 1 }, priority });

/** Until it has heard of the controller's window, a gateway takes it for what it is by default. */
async function windowKnown(): Promise<void> {
  const queues = async () =>
    (await admin.get<{ items: { queue: string; window: number }[] }>('/api/admin/queues')).body;
  while ((await queues()).items.find(({ queue }) => queue === 'workflows')?.window !== window);
  await admin.post('/api/admin/queues/workflows/resume'); // the gateway looks
}

t.test('one who queues hundreds of urgent runs does not keep another from the workers', async (t) => {
  await windowKnown();
  recorder.hold('step-1');
  const queued = await Promise.all(Array.from({ length: 300 }, () => start(heavy, 0)));
  t.ok(queued.every(({ status }) => status === 202));
  await recorder.called('step-1', 2);
  const { status, body } = await start(light, 9);
  t.equal(status, 202);
  const before = recorder.calls.length;
  recorder.release('step-1');
  await recorder.called(`${body.id}/step-1`);
  const waitedFor = recorder.calls.findIndex((call) => call.startsWith(body.id)) - before;
  t.ok(waitedFor <= 3 * window + window / 2 + 2, `${waitedFor} others began before it`);
  const ends = [];
  for (const run of queued) ends.push((await Array.fromAsync(heavy.events(run.body.id))).at(-1)?.event);
  t.same([...new Set(ends)], ['run.completed'], 'and all are done in the end');
});

t.test('a paused queue accepts and begins nothing; resumed it goes on, also after FLUSHALL', async (t) => {
  t.match(await admin.post('/api/admin/queues/workflows/pause'), { status: 200, body: { paused: true } });
  const { status, body } = await start(light);
  t.equal(status, 202);
  await platform.redis.flush();
  t.match((await light.get<Run>(`/api/runs/${body.id}`)).body, { state: 'queued' });
  t.match(await admin.post('/api/admin/queues/workflows/resume'), { status: 200, body: { paused: false } });
  t.match((await Array.fromAsync(light.events(body.id))).at(-1), { event: 'run.completed' });
});

t.test('a limit set at run time holds: one run after the other, and no more than may wait', async (t) => {
  const limit = { scope: 'role', subject: 'agent', maxConcurrent: 1, maxBacklog: 3 };
  t.equal((await admin.call('PUT', '/api/admin/limits', { body: limit })).status, 200);
  recorder.hold('step-1');
  const before = recorder.calls.length;
  const taken = [await start(light), await start(light), await start(light)];
  t.same(
    taken.map(({ status }) => status),
    [202, 202, 202],
  );
  const refused = await start(light);
  t.match(refused, { status: 429, body: { code: 'rate_limited' } });
  t.ok(refused.headers.get('retry-after'));
  await recorder.called(`${taken[0]?.body.id}/step-1`);
  // Another's run has a worker's second place at once: the first is all this client gets.
  const { body } = await start(heavy);
  await recorder.called(`${body.id}/step-1`);
  t.equal(recorder.calls.length, before + 2);
  recorder.release('step-1');
  for (const run of taken)
    t.match((await Array.fromAsync(light.events(run.body.id))).at(-1), { event: 'run.completed' });
});

t.test('the controller says how the queues stand', async (t) => {
  const metrics = await (await fetch(`${platform.controller.url}/metrics`)).text();
  for (const name of ['load', 'backlog', 'oldest_age_seconds', 'window_size', 'window_used']) {
    t.match(metrics, new RegExp(`^flowstate_queue_${name}\\{queue="workflows"\\} [0-9.]+$`, 'm'), name);
  }
  t.match(metrics, /^flowstate_runs_fed_total\{queue="workflows"\} [1-9]/m);
});
