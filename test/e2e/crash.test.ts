import { fileURLToPath } from 'node:url';
import { startPlatform, startRecorder } from '@flowstate/test';
import t from 'tap';

const workflows = fileURLToPath(new URL('../fixtures/workflows', import.meta.url));
const platform = await startPlatform(t, { workflows });
const manager = await platform.as('manager');

type Run = { id: string; state: string; output: unknown; error: { message: string; step: string } | null };

/** Resolves when the step's result is in the ledger: its event is published after that commit. */
async function stepCompleted(runId: string, step: string): Promise<void> {
  for await (const { event, data } of manager.events(runId)) {
    if (event === 'step.completed' && (data as { data: { name: string } }).data.name === step) return;
  }
  throw new Error(`the run ended without an event of ${step}`);
}

t.test('a worker killed in the middle: started again, the run ends and no finished step was repeated', async (t) => {
  const recorder = await startRecorder(t);
  recorder.hold('step-3');
  const started = await manager.post<Run>('/api/workflows/recorded-steps/runs', {
    input: { recorder: recorder.url, steps: 5 },
  });
  t.equal(started.status, 202);
  const { id } = started.body;
  await recorder.called('step-3');
  // A pure step's record may be on its way while the next step runs; only a recorded one must not repeat.
  await stepCompleted(id, 'step-2');
  t.same(await platform.worker.kill('SIGKILL'), { code: null, signal: 'SIGKILL' });
  const killedAt = Date.now();
  recorder.release('step-3');
  await platform.worker.restart();

  const events = await Array.fromAsync(manager.events(id));
  t.match(events.at(-1), { event: 'run.completed' });
  t.comment(`resumed and finished ${Date.now() - killedAt} ms after the kill`);
  const run = await manager.get<Run>(`/api/runs/${id}`);
  t.match(run.body, { state: 'completed', output: { total: 5 } });
  const steps = recorder.calls.map((call) => call.split('/')[1]);
  t.same(steps, ['step-1', 'step-2', 'step-3', 'step-3', 'step-4', 'step-5'], 'only the step under way ran again');
  const seqs = events.flatMap((event) => (event.id === undefined ? [] : [Number(event.id)]));
  t.same(
    seqs,
    seqs.map((_, index) => index + 1),
    'the stream has every event once, in order',
  );
});

t.test('the runs of a killed worker go on elsewhere', async (t) => {
  const recorder = await startRecorder(t);
  recorder.hold('step-2');
  const { body } = await manager.post<Run>('/api/workflows/recorded-steps/runs', {
    input: { recorder: recorder.url, steps: 3 },
  });
  await recorder.called('step-2');
  const other = await platform.addWorker();
  await platform.worker.kill('SIGKILL');
  recorder.release('step-2');
  await recorder.called('step-2', 2);
  const ended = await Array.fromAsync(manager.events(body.id));
  t.match(ended.at(-1), { event: 'run.completed' });
  await platform.worker.restart();
  t.same(await other.kill('SIGTERM'), { code: 0, signal: null });
});

t.test('SIGTERM drains: the run is handed back at its step boundary, the worker exits 0', async (t) => {
  const recorder = await startRecorder(t);
  recorder.hold('step-1');
  const { body } = await manager.post<Run>('/api/workflows/recorded-steps/runs', {
    input: { recorder: recorder.url, steps: 3 },
  });
  await recorder.called('step-1');
  platform.worker.signal('SIGTERM');
  await platform.worker.logged((line) => line.msg === 'draining');
  recorder.release('step-1');
  t.same(await platform.worker.ended(), { code: 0, signal: null });
  await platform.worker.restart();
  const ended = await Array.fromAsync(manager.events(body.id));
  t.match(ended.at(-1), { event: 'run.completed' });
  t.same(
    recorder.calls.map((call) => call.split('/')[1]),
    ['step-1', 'step-2', 'step-3'],
  );
});

t.test('FLUSHALL of the queue loses nothing', async (t) => {
  const recorder = await startRecorder(t);
  await platform.worker.kill('SIGTERM');
  const started = await Promise.all(
    Array.from({ length: 20 }, () =>
      manager.post<Run>('/api/workflows/recorded-steps/runs', { input: { recorder: recorder.url, steps: 2 } }),
    ),
  );
  t.ok(started.every((answer) => answer.status === 202));
  await platform.redis.flush();
  await platform.worker.restart();
  for (const { body } of started) {
    const events = await Array.fromAsync(manager.events(body.id));
    t.match(events.at(-1), { event: 'run.completed' });
  }
  t.equal(recorder.calls.length, 40, 'every step ran once');
  t.equal((await manager.get('/api/auth/me')).status, 200, 'and nobody was logged out');
});

t.test('a workflow that throws ends failed, readable by API, and can be retried from its failed step', async (t) => {
  const run = await manager.post<Run>(
    '/api/workflows/throwing/runs',
    { input: { message: 'on purpose' } },
    { prefer: 'wait=20' },
  );
  t.equal(run.status, 200, 'failed is a terminal state');
  t.equal(run.headers.get('preference-applied'), 'wait=20');
  t.match(run.body, { state: 'failed', error: { step: 'broken', message: 'on purpose' } });
  t.notMatch(run.body.error, { stack: String }, 'where in the code it failed is not for every client');
  const admin = await platform.as('admin');
  t.match((await admin.get(`/api/runs/${run.body.id}`)).body, { error: { stack: /on purpose/ } });
  const retried = await manager.post<Run>(`/api/runs/${run.body.id}/retry`);
  t.equal(retried.status, 202);
  await Array.fromAsync(manager.events(run.body.id));
  t.match((await manager.get(`/api/runs/${run.body.id}`)).body, { state: 'failed', attempt: 2 });
  const steps = await manager.get<{ items: { name: string; state: string }[] }>(`/api/runs/${run.body.id}/steps`);
  t.match(steps.body.items, [
    { name: 'fine', state: 'completed' },
    { name: 'broken', state: 'failed' },
  ]);
});
