import { fileURLToPath } from 'node:url';
import { openStores } from '@flowstate/security';
import { createClient, openRedis, startPlatform, startRecorder } from '@flowstate/test';
import t from 'tap';
import { startRedisCluster } from '../support/redis-cluster.ts';

const workflows = fileURLToPath(new URL('../fixtures/workflows', import.meta.url));
type Run = { id: string; state: string };

t.test('a client that ends while no node is in reach refuses what it was asked', async (t) => {
  for (const tried of [false, true]) {
    const redis = openRedis('redis+cluster://127.0.0.1:1');
    redis.on('error', () => {});
    t.teardown(() => redis.disconnect());
    if (tried) await new Promise((resolve) => redis.once('reconnecting', resolve));
    const refused = t.rejects(redis.get('key'));
    redis.disconnect();
    await refused;
    await t.rejects(redis.get('key'));
  }
});

const cluster = await startRedisCluster(t, {
  replicas: 3,
  settings: { 'cluster-node-timeout': '2000', 'repl-diskless-sync-delay': '0' },
});
if (typeof cluster === 'string') {
  t.pass('Redis Cluster', { skip: cluster });
} else {
  // One cluster for both: queues, sessions and counters, and the cache.
  const platform = await startPlatform(t, {
    workflows,
    env: { REDIS_URL: cluster.url, REDIS_CACHE_URL: cluster.url },
  });
  const [admin, manager, analyst] = await Promise.all([
    platform.as('admin'),
    platform.as('manager'),
    platform.as('analyst'),
  ]);
  const recorder = await startRecorder(t);

  await t.test('every dependency is there, named by the same names', async (t) => {
    t.match(await manager.get('/api/ready?strict=1'), { status: 200, body: { status: 'ready' } });
  });

  await t.test('runs are delivered, followed live, cancelled and held by a paused queue on a cluster', async (t) => {
    const start = async (steps: number) => {
      const input = { recorder: recorder.url, steps };
      const { status, body } = await manager.post<Run>('/api/workflows/recorded-steps/runs', { input });
      t.equal(status, 202);
      return body.id;
    };
    const ids = await Promise.all(Array.from({ length: 12 }, () => start(3)));
    for (const id of ids) {
      const events = await Array.fromAsync(manager.events(id));
      t.equal(events.at(-1)?.event, 'run.completed');
    }
    t.equal(recorder.calls.length, 36, 'every step once');
    recorder.hold('step-1');
    const held = await start(1);
    await recorder.called(`${held}/step-1`);
    const following = Array.fromAsync(manager.events(held));
    t.match(await manager.post(`/api/runs/${held}/cancel`, {}), { status: 202 });
    t.equal((await following).at(-1)?.event, 'run.cancelled');
    recorder.release('step-1');
    t.match(await admin.post('/api/admin/queues/workflows/pause', { reason: 'a look' }), { status: 200 });
    const paused = await start(1);
    // What comes later to the other queue is done meanwhile.
    const document = { collection: 'manual', text: 'Invoices are sent on the first day of a month.' };
    const { body } = await manager.post<{ run: Run }>('/api/documents', document);
    t.equal((await Array.fromAsync(manager.events(body.run.id))).at(-1)?.event, 'run.completed');
    t.match((await manager.get<Run>(`/api/runs/${paused}`)).body, { state: 'queued' });
    t.match(await admin.post('/api/admin/queues/workflows/resume', { reason: 'a look' }), { status: 200 });
    t.equal((await Array.fromAsync(manager.events(paused))).at(-1)?.event, 'run.completed');
  });

  await t.test('searches are answered from the cache, which is spread over the nodes', async (t) => {
    const documents = [{ collection: 'manual', text: 'Refunds are paid within five days.' }];
    const { body } = await manager.post<{ run: Run }>('/api/documents', { documents });
    await Array.fromAsync(manager.events(body.run.id));
    const second = await platform.addGateway();
    const elsewhere = createClient(second.url, analyst.token);
    // Where a key lies follows from its name, by chance.
    for (let n = 0; n < 6 || (await cluster.keys()).includes(0); n++) {
      const query = { query: `when is a refund paid, asked ${n}` };
      t.match(await analyst.post('/api/search/semantic', query), { status: 200, body: { cache: 'miss' } });
      t.match(await elsewhere.post('/api/search/semantic', query), { status: 200, body: { cache: 'hit' } });
    }
    t.match(await admin.get('/api/admin/cache'), { status: 200, body: { redis: { state: 'up', evicted: 0 } } });
  });

  await t.test('sessions are copied, verified and ended; limits count for all gateways', async (t) => {
    const report = await admin.post<{ copies: number; sound: boolean }>('/api/admin/sessions/verify', {});
    t.match(report, { status: 200, body: { sound: true } });
    t.ok(report.body.copies >= 3);
    const { body: me } = await analyst.get<{ id: string }>('/api/auth/me');
    t.match(await admin.call('DELETE', `/api/admin/sessions?user=${me.id}`), { status: 200 });
    t.equal((await analyst.get('/api/auth/me')).status, 401);
    // An operator whose gateway is down.
    const direct = await openStores({ databaseUrl: platform.database.url, redisUrl: cluster.url });
    t.teardown(() => direct.close());
    t.equal(direct.redisProblem, undefined);
    const integration = await platform.as('integration');
    t.match(await direct.sessions.revokeUser('integration@flowstate.local', { id: null }), { revoked: 1 });
    t.equal((await integration.get('/api/auth/me')).status, 401);
    t.match(await direct.sessions.verify({ repair: false, by: { id: null } }), { sound: true });
    const text = await (await fetch(`${platform.gateway.url}/api/metrics`)).text();
    t.match(text, /^redis_memory_used_bytes\{instance="queues"\} [1-9]/m);
  });

  await t.test('the master of the queues dies under load: nothing is lost, nothing runs twice', async (t) => {
    const before = recorder.calls.length;
    const ids: string[] = [];
    const refused: number[] = [];
    const start = async () => {
      const input = { recorder: recorder.url, steps: 2 };
      const { status, body } = await manager.post<Run>('/api/workflows/recorded-steps/runs', { input });
      if (status === 202) ids.push(body.id);
      else refused.push(status);
    };
    await Promise.all(Array.from({ length: 5 }, start));
    const master = await cluster.masterOf('{flowstate}');
    await master?.kill();
    const killedAt = performance.now();
    // Whoever is logged in stays so, and runs are accepted, while the nodes have not agreed on who follows.
    while ((await cluster.masterOf('{flowstate}')) === master) {
      await start();
      t.equal((await manager.get('/api/auth/me')).status, 200);
    }
    const movedAfter = performance.now() - killedAt;
    await start();
    for (const id of ids) t.equal((await Array.fromAsync(manager.events(id))).at(-1)?.event, 'run.completed');
    t.same(refused, []);
    t.equal(recorder.calls.length, before + ids.length * 2, 'every step once');
    t.comment(
      `${ids.length} runs; moved after ${Math.round(movedAfter)} ms, all done after ${Math.round(performance.now() - killedAt)} ms`,
    );
  });
}
