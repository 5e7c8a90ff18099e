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

  async function inDoubt(): Promise<string> {
    recorder.hold('pay');
    const before = recorder.calls.length;
    const id = await start('payment', { recorder: recorder.url }, agent);
    await recorder.called(`${id}/pay`);
    t.equal(recorder.calls.length, before + 1);
    await platform.worker.kill('SIGKILL');
    recorder.release('pay');
    await platform.worker.restart();
    t.match(await told(id, 'run.parked'), {
      state: 'parked',
      error: { code: 'parked', message: /pay may or may not/ },
    });
    return id;
  }

  const happened = await inDoubt();
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

  const not = await inDoubt();
  await manager.post(`/api/runs/${not}/resolve`, { outcome: 'not-happened' });
  t.match(await told(not, 'run.completed'), { output: { receipt: '1' } });
  t.equal(recorder.calls.filter((call) => call === `${not}/pay`).length, 2);

  const abandoned = await inDoubt();
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
  await told(id, 'run.completed');
  await platform.worker.restart();
  await other.kill('SIGTERM');
});
