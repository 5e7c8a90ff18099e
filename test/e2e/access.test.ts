import { fileURLToPath } from 'node:url';
import { createClient, startPlatform, startRecorder } from '@flowstate/test';
import t from 'tap';

const workflows = fileURLToPath(new URL('../fixtures/workflows', import.meta.url));
const platform = await startPlatform(t, { workflows });
const other = await platform.addGateway();
const admin = await platform.as('admin');
const recorder = await startRecorder(t);
type Run = { id: string; state: string; error: { code: string; message: string } };
type Override = { id: string; expiresAt: string };

async function lock(target: string, roles: string[], seconds = 600): Promise<Override> {
  const { status, body } = await admin.post<Override>('/api/admin/access', { target, roles, reason: 'test', seconds });
  t.equal(status, 201);
  return body;
}
const release = async ({ id }: Override) =>
  t.equal((await admin.call('DELETE', `/api/admin/access/${id}`)).status, 200);

/** While it is paused no run begins, however long the rest of a test's preparation takes. */
const turn = async (action: 'pause' | 'resume') =>
  t.equal((await admin.post(`/api/admin/queues/workflows/${action}`)).status, 200);

/** Resolves with the run once its stream tells of such an event. */
async function told(id: string, type: string): Promise<Run> {
  for await (const { event } of admin.events(id)) if (event === type) break;
  return (await admin.get<Run>(`/api/runs/${id}`)).body;
}

t.test('another gateway process obeys, also without Redis', async (t) => {
  const manager = createClient(other.url, (await platform.as('manager')).token);
  const allowed = async () => (await manager.get('/api/customers')).status;
  const took: number[] = [];
  for (let round = 0; round < 10; round++) {
    const made = await lock('data:read', ['admin']);
    const began = performance.now();
    while ((await allowed()) !== 403);
    took.push(performance.now() - began);
    t.equal(await allowed(), 403);
    await release(made);
    while ((await allowed()) !== 200);
    t.equal(await allowed(), 200);
  }
  t.comment(
    `obeyed after ${took
      .map((ms) => ms.toFixed(0))
      .toSorted((a, b) => Number(a) - Number(b))
      .join(', ')} ms`,
  );
});

t.test('a queued run whose owner may not start it any more does not begin', async (t) => {
  const manager = await platform.as('manager');
  const start = async () => {
    const input = { recorder: recorder.url, steps: 1 };
    const { status, body } = await manager.post<Run>('/api/workflows/recorded-steps/runs', { input });
    t.equal(status, 202);
    return body.id;
  };
  await turn('pause');
  const id = await start();
  const made = await lock('POST /api/workflows/recorded-steps/runs', ['admin']);
  await turn('resume');
  t.match(await told(id, 'run.parked'), { state: 'parked', error: { message: /may not run it any more/ } });
  t.same(recorder.calls, [], 'no line of it ran');
  t.match(await manager.post('/api/workflows/recorded-steps/runs', { input: {} }), { status: 403 });
  await release(made);
  t.equal((await admin.post(`/api/runs/${id}/resolve`, { outcome: 'not-happened' })).status, 202);
  t.match(await told(id, 'run.completed'), { state: 'completed' });
  t.equal(recorder.calls.length, 1);

  await turn('pause');
  const unharmed = await start();
  await lock('POST /api/workflows/asking/runs', ['admin']);
  await turn('resume');
  t.match(await told(unharmed, 'run.completed'), { state: 'completed' }, 'a change that does not concern it only asks');
});

t.test('a queued run of somebody who was disabled meanwhile does not begin', async (t) => {
  const before = recorder.calls.length;
  const service = await platform.as('service');
  await turn('pause');
  const { body } = await service.post<Run>('/api/workflows/recorded-steps/runs', {
    input: { recorder: recorder.url, steps: 1 },
  });
  const { body: me } = await service.get<{ id: string }>('/api/auth/me');
  const change = (disabled: boolean) => admin.call('PATCH', `/api/admin/users/${me.id}`, { body: { disabled } });
  t.equal((await change(true)).status, 200);
  await turn('resume');
  t.match(await told(body.id, 'run.parked'), { state: 'parked', error: { message: /may not run it any more/ } });
  t.equal(recorder.calls.length, before, 'no line of it ran');
  t.match(await admin.post(`/api/runs/${body.id}/cancel`), { status: 202 });
  t.equal((await change(false)).status, 200);
});

t.test('a running agent is stopped at its next call', async (t) => {
  const agent = await platform.as('agent');
  const running = async () => {
    const { body } = await agent.post<Run>('/api/workflows/recorded-steps/runs', {
      input: { recorder: recorder.url, steps: 1 },
    });
    return body.id;
  };
  t.match(await told(await running(), 'run.completed'), { state: 'completed' });
  for (const { id } of (await admin.get<{ items: Override[] }>('/api/admin/access')).body.items) {
    await release({ id, expiresAt: '' });
  }
  recorder.hold('between');
  const { body } = await agent.post<Run>('/api/workflows/asking/runs', { input: { recorder: recorder.url } });
  await recorder.called(`${body.id}/between`);
  const made = await lock('GET /api/auth/me', ['admin']);
  recorder.release('between');
  t.match(await told(body.id, 'run.failed'), { state: 'failed', error: { code: 'forbidden' } });
  await release(made);
});
