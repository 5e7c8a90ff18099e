import { randomBytes } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ScalingState } from '@flowstate/contracts';
import { connectionsPerController, connectionsPerGateway, connectionsPerWorker } from '@flowstate/scaling';
import { createApiKey } from '@flowstate/security';
import { createClient, startPlatform, startRecorder, type ServiceProcess } from '@flowstate/test';
import t from 'tap';
import { createKedaClient } from './fixtures/keda-client.ts';

/** Between two looks, or two requests of a client: the machine must be left to the services that start meanwhile. */
const paceMs = 20;

type Run = { id: string; state: string };

const token = randomBytes(24).toString('base64url');
const platform = await startPlatform(t, {
  workflows: fileURLToPath(new URL('../../../test/fixtures/workflows', import.meta.url)),
  env: { SCALER_TOKEN: token, SCALER_PORT: '0', SCALING_POLICY: '{"workflows":{"max":7}}' },
});
const { sql } = platform.database;
const manager = await platform.as('manager');
const [admin] = await sql<{ id: string }[]>`SELECT id FROM users WHERE role = 'admin'`;
const { key } = await createApiKey(sql, { userId: admin?.id ?? '', name: 'keda', scopes: ['scaling:read'] });
const autoscaler = createClient(platform.gateway.url, key);

async function kedaOf(controller: ServiceProcess) {
  const { port } = await controller.logged(({ msg }) => msg === 'scaler ready');
  return createKedaClient(t, `127.0.0.1:${String(port)}`);
}

/** Resolves when the gateway says so; an answer that nobody can know right now is asked for again. */
async function stateWhen(holds: (state: ScalingState) => boolean): Promise<ScalingState> {
  for (;;) {
    const { status, body } = await autoscaler.get<ScalingState>('/api/scaling/workflows');
    if (status === 200 && holds(body)) return body;
    await wait(paceMs);
  }
}

await t.test('controllers and gateway agree', async (t) => {
  const standby = await platform.addController();
  const state = await stateWhen(({ liveWorkers, desired }) => liveWorkers === 1 && desired === 0);
  t.match(state, { load: 0, reason: 'idle', concurrency: 16, policy: { max: 7 } });
  for (const controller of [platform.controller, standby]) {
    const { status, body } = await createClient(controller.url, token).get<ScalingState>('/scaling/workflows');
    t.equal(status, 200);
    t.match(body, { ...state, computedAt: String });
    const keda = await kedaOf(controller);
    t.match(await keda.call('GetMetrics', { queue: 'workflows' }, { token }), {
      answer: { metricValues: [{ metricName: 'desired', metricValue: 0 }] },
    });
  }
  t.equal((await autoscaler.get('/api/scaling/workflow')).status, 404);
  t.equal((await autoscaler.get('/api/runs')).status, 403, 'the key is good for nothing else');
  t.equal((await createClient(platform.gateway.url).get('/api/scaling/workflows')).status, 401);
  t.equal((await manager.get('/api/scaling/workflows')).status, 403);
  t.equal((await createClient(platform.controller.url).get('/scaling/workflows')).status, 401);

  await platform.controller.kill('SIGTERM');
  const { computedAt } = await stateWhen(() => true);
  await stateWhen((later) => later.computedAt > computedAt);
  t.pass('the other one leads and decides');
  await platform.controller.restart();
  t.same(await standby.kill('SIGTERM'), { code: 0, signal: null });
});

await t.test('from no worker to a finished run, and back', async (t) => {
  const recorder = await startRecorder(t);
  t.same(await platform.worker.kill('SIGTERM'), { code: 0, signal: null });
  await stateWhen(({ liveWorkers }) => liveWorkers === 0);
  // The last line: it has been started anew, on another port.
  const scalers = platform.controller.log.filter(({ msg }) => msg === 'scaler ready');
  const keda = createKedaClient(t, `127.0.0.1:${String(scalers.at(-1)?.port)}`);
  const stream = keda.stream({ queue: 'workflows', tokenFromEnv: token });
  const woken = stream.next();
  // Its stream is open once it has answered another call after it.
  await keda.call('GetMetricSpec', { queue: 'workflows' }, { token });
  recorder.hold('step-2');
  const begun = performance.now();
  const input = { recorder: recorder.url, steps: 3 };
  const { body } = await manager.post<Run>('/api/workflows/recorded-steps/runs', { input });
  const answered = Math.round(performance.now() - begun);
  t.equal(await woken, true);
  t.comment(
    `woken ${Math.round(performance.now() - begun)} ms after a client asked for the first run, which was answered after ${answered} ms`,
  );
  t.match(await stateWhen(({ desired }) => desired > 0), { desired: 1, reason: 'load', liveWorkers: 0 });

  await platform.worker.restart();
  await recorder.called('step-2');
  t.match(await stateWhen(({ active }) => active > 0), { active: 1, liveWorkers: 1 });
  recorder.release('step-2');
  const events = await Array.fromAsync(manager.events(body.id));
  t.match(events.at(-1), { event: 'run.completed' });
  t.match(await stateWhen(({ load, serviceSeconds }) => load === 0 && serviceSeconds !== null), { active: 0 });
});

await t.test('no process opens more connections than the budget counts with', async (t) => {
  const recorder = await startRecorder(t);
  const budget = { worker: connectionsPerWorker, gateway: connectionsPerGateway, controller: connectionsPerController };
  const most = { worker: 0, gateway: 0, controller: 0 };
  const start = (n: number) =>
    manager.post<Run>('/api/workflows/recorded-steps/runs', { input: { recorder: recorder.url, steps: 1 + (n % 4) } });
  const sending = (async () => {
    for (let burst = 0; burst < 6; burst++) await Promise.all(Array.from({ length: 24 }, (_, n) => start(n)));
  })();
  const sent = new AbortController();
  void sending.finally(() => sent.abort());
  while (!sent.signal.aborted) {
    const rows = await sql<{ service: keyof typeof most; connections: number }[]>`
      SELECT CASE WHEN application_name LIKE 'flowstate-worker%' THEN 'worker'
                  WHEN application_name LIKE 'flowstate-gateway%' THEN 'gateway' ELSE 'controller' END AS service,
             count(*)::int AS connections
      FROM pg_stat_activity
      WHERE datname = current_database() AND application_name LIKE 'flowstate-%' AND application_name <> 'flowstate-test'
      GROUP BY 1`;
    for (const { service, connections } of rows) most[service] = Math.max(most[service], connections);
    await wait(paceMs);
  }
  await sending;
  t.comment(most);
  const { body } = await manager.get<{ items: object[] }>('/api/runs?limit=1');
  t.equal(body.items.length, 1);
  for (const [service, connections] of Object.entries(most)) {
    const allowed = budget[service as keyof typeof budget];
    t.ok(connections <= allowed, `${service}: ${connections} of ${allowed}`);
  }
  t.ok(most.worker >= 3, `${most.worker}: one for the ledger, one for claims, the one that shows that it lives`);
});
