import { fileURLToPath } from 'node:url';
import { startPlatform, startRecorder, type Client } from '@flowstate/test';
import t from 'tap';

const fixture = (path: string) => fileURLToPath(new URL(`../fixtures/${path}`, import.meta.url));
const platform = await startPlatform(t, { workflows: fixture('workflows') });
const manager = await platform.as('manager');
const admin = await platform.as('admin');

type Run = { id: string; state: string; version: string; output: unknown; error: { code: string; message: string } };

async function start(workflow: string, input: object, client: Client = manager): Promise<string> {
  const { status, body } = await client.post<Run>(`/api/workflows/${workflow}/runs`, { input });
  t.equal(status, 202);
  return body.id;
}

/** Resolves with the run once its stream tells of such an event. */
async function told(id: string, type: string, times = 1): Promise<Run> {
  for await (const { event } of admin.events(id)) if (event === type && --times === 0) break;
  return (await admin.get<Run>(`/api/runs/${id}`)).body;
}

/** Resolves when the step's result is in the ledger: its event is published after that commit. */
async function stepCompleted(runId: string, step: string): Promise<void> {
  for await (const { event, data } of manager.events(runId)) {
    if (event === 'step.completed' && (data as { data: { name: string } }).data.name === step) return;
  }
  throw new Error(`the run ended without an event of ${step}`);
}

t.test('a run waits for somebody else to approve it, and no worker waits with it', async (t) => {
  const id = await start('approval', {});
  t.match(await told(id, 'run.waiting'), { state: 'waiting' });
  t.match(await manager.post(`/api/runs/${id}/signals/approve`, { data: 'mine' }), {
    status: 403,
    body: { detail: /own/ },
  });
  t.match(await admin.post(`/api/runs/${id}/signals/no%20such`, {}), { status: 400 });
  t.match(await admin.post(`/api/runs/${id}/signals/approve`, { data: 'yes' }), { status: 202 });
  t.match(await told(id, 'run.completed'), { state: 'completed', output: { approved: 'yes' } });
  t.match(await admin.post(`/api/runs/${id}/signals/approve`, { data: 'again' }), { status: 409 });
});

t.test('a run starts others, waits for all of them, and takes them along when it is cancelled', async (t) => {
  const id = await start('family', { numbers: [1, 2, 3] });
  t.match(await told(id, 'run.completed'), { output: { n: 12 } });
  const foreign = await manager.post('/api/workflows/doubling/runs', { input: { n: 1 }, parentId: id });
  t.match(foreign, { status: 403, body: { errors: [{ field: 'parentId' }] } }, 'nobody else starts its children');

  const stuck = await start('family', { numbers: [-1] });
  await told(stuck, 'run.waiting');
  const child = async () => {
    const { body } = await admin.get<{ items: Run[] }>('/api/runs?workflow=doubling&limit=1');
    return body.items[0] as Run;
  };
  await told((await child()).id, 'run.waiting');
  t.equal((await manager.post(`/api/runs/${stuck}/cancel`)).status, 202);
  t.match(await told(stuck, 'run.cancelled'), { state: 'cancelled' });
  t.match(await child(), { state: 'cancelled' });
});

t.test('an effect in doubt parks the run until a person says what happened', async (t) => {
  const recorder = await startRecorder(t);
  const agent = await platform.as('agent');

  // Three by one death: each is settled otherwise.
  recorder.hold('pay');
  const ids: string[] = [];
  for (let n = 0; n < 3; n++) ids.push(await start('payment', { recorder: recorder.url }, agent));
  for (const id of ids) await recorder.called(`${id}/pay`);
  t.equal(recorder.calls.length, 3);
  await platform.worker.kill('SIGKILL');
  recorder.release('pay');
  await platform.worker.restart();
  for (const id of ids) {
    t.match(await told(id, 'run.parked'), {
      state: 'parked',
      error: { code: 'parked', message: /pay may or may not/ },
    });
  }
  const [happened, not, abandoned] = ids as [string, string, string];

  t.equal((await agent.post(`/api/runs/${happened}/resolve`, { outcome: 'abandon' })).status, 403);
  t.match(await manager.post(`/api/runs/${happened}/resolve`, { outcome: 'perhaps' }), {
    status: 400,
    body: { errors: [{ field: 'outcome' }] },
  });
  t.match(await manager.post(`/api/runs/${happened}/resolve`, { outcome: 'happened' }), {
    status: 400,
    body: { errors: [{ field: 'output', message: 'is required' }] },
  });
  t.equal((await manager.post(`/api/runs/${happened}/resolve`, { outcome: 'happened', output: 'R-1' })).status, 202);
  t.match(await told(happened, 'run.completed'), { output: { receipt: 'R-1' } });
  t.equal((await manager.post(`/api/runs/${happened}/resolve`, { outcome: 'abandon' })).status, 409);

  await manager.post(`/api/runs/${not}/resolve`, { outcome: 'not-happened' });
  t.match(await told(not, 'run.completed'), { output: { receipt: '1' } });
  t.equal(recorder.calls.filter((call) => call === `${not}/pay`).length, 2);

  await manager.post(`/api/runs/${abandoned}/resolve`, { outcome: 'abandon' });
  t.match(await told(abandoned, 'run.failed'), { state: 'failed', error: { code: 'abandoned' } });
  t.equal(recorder.calls.filter((call) => call === `${abandoned}/pay`).length, 1);
});

t.test('a run that kills its worker is parked after three; its neighbour is not blamed', async (t) => {
  const recorder = await startRecorder(t);
  recorder.hold('step-1');
  const neighbour = await start('recorded-steps', { recorder: recorder.url, steps: 2 });
  await recorder.called('step-1');
  const id = await start('poison', {});
  for (let death = 1; death <= 3; death++) {
    t.same(await platform.worker.ended(), { code: null, signal: 'SIGKILL' });
    if (death === 1) recorder.release('step-1');
    await platform.worker.restart();
  }
  t.match(await told(id, 'run.parked'), { state: 'parked', error: { message: /workers died/ } });
  t.match(await told(neighbour, 'run.completed'), { state: 'completed' });
  t.match(await manager.post(`/api/runs/${id}/resolve`, { outcome: 'happened', output: null }), {
    status: 400,
    body: { errors: [{ field: 'outcome' }] },
  });
  t.equal((await manager.post(`/api/runs/${id}/cancel`)).status, 202);
});

t.test('a fork begins with what came before its step, and runs the rest anew', async (t) => {
  const recorder = await startRecorder(t);
  const id = await start('recorded-steps', { recorder: recorder.url, steps: 4 });
  await told(id, 'run.completed');
  t.match(await manager.post(`/api/runs/${id}/fork`, { fromStep: 'step-9' }), {
    status: 404,
    body: { errors: [{ field: 'fromStep' }] },
  });
  const { status, body, headers } = await manager.post<Run>(`/api/runs/${id}/fork`, { fromStep: 'step-3' });
  t.equal(status, 202);
  t.equal(headers.get('location'), `/api/runs/${body.id}`);
  t.match(await told(body.id, 'run.completed'), { output: { total: 4 } });
  t.same(
    recorder.calls.filter((call) => call.startsWith(body.id)).map((call) => call.split('/')[1]),
    ['step-3', 'step-4'],
  );
});

t.test('a run stays on the version it began with; while nobody carries it, it waits', async (t) => {
  const one = await platform.addWorker(fixture('versions/one'));
  const id = await start('versioned', {});
  await told(id, 'run.waiting');
  const two = await platform.addWorker(fixture('versions/two'));
  // A gateway knows what workers carry within a second; when asked for all of it, at once.
  await admin.get('/api/workflows');
  const newer = await start('versioned', {});
  t.match(await told(newer, 'run.waiting'), { version: '2' }, 'new runs get the newest');

  await one.kill('SIGTERM');
  for (const run of [id, newer]) await admin.post(`/api/runs/${run}/signals/go`, {});
  t.match(await told(newer, 'run.completed'), { output: 'version 2' });
  t.match((await admin.get<Run>(`/api/runs/${id}`)).body, { state: 'queued', version: '1' }, 'not failed');
  await one.restart();
  t.match(await told(id, 'run.completed'), { output: 'version 1' });
  await Promise.all([one.kill('SIGTERM'), two.kill('SIGTERM')]);
});

t.test('the controller that leads dies: the one that stands by takes over', async (t) => {
  const standby = await platform.addController();
  await platform.controller.kill('SIGKILL');
  const diedAt = Date.now();
  await standby.logged(({ msg }) => msg === 'leading now');
  t.comment(`another leads ${Date.now() - diedAt} ms later`);
  const { body } = await manager.post<Run>('/api/workflows/doubling/runs', { input: { n: 4 }, delayMs: 1 });
  t.match(await told(body.id, 'run.completed'), { output: { n: 8 } });
  await platform.controller.restart();
  await standby.kill('SIGTERM');
});

t.test('runs of a killed worker go on elsewhere', async (t) => {
  const recorder = await startRecorder(t);
  recorder.hold('step-2');
  const id = await start('recorded-steps', { recorder: recorder.url, steps: 3 });
  await recorder.called('step-2');
  const other = await platform.addWorker();
  await platform.worker.kill('SIGKILL');
  const killedAt = Date.now();
  await recorder.called('step-2', 2);
  t.comment(`went on ${Date.now() - killedAt} ms after the kill`);
  recorder.release('step-2');
  const ended = await Array.fromAsync(manager.events(id));
  t.match(ended.at(-1), { event: 'run.completed' });
  await platform.worker.restart();
  t.same(await other.kill('SIGTERM'), { code: 0, signal: null });
});

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
