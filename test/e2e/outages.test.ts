import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { startOwnStores, startPlatform, startRecorder } from '@flowstate/test';
import t from 'tap';

const workflows = fileURLToPath(new URL('../fixtures/workflows', import.meta.url));
type Run = { id: string; state: string };

const stores = await startOwnStores(t);
if (typeof stores === 'string') {
  t.pass('outages', { skip: stores });
} else {
  const platform = await startPlatform(t, { workflows, stores });
  const manager = await platform.as('manager');
  const recorder = await startRecorder(t);
  const start = (headers: Record<string, string> = {}) =>
    manager.post<Run>('/api/workflows/recorded-steps/runs', { input: { recorder: recorder.url, steps: 2 } }, headers);
  const ended = async (id: string) => (await Array.fromAsync(manager.events(id))).at(-1);

  await t.test('Redis away: runs are accepted, and delivered once it is back', async (t) => {
    await stores.redis.down();
    const answers = await Promise.all([start(), start(), start()]);
    t.same(
      answers.map((answer) => answer.status),
      [202, 202, 202],
    );
    t.match(await manager.get('/api/ready'), { status: 200, body: { status: 'degraded' } });
    t.equal((await manager.get('/api/ready?strict=1')).status, 503);
    t.equal((await fetch(`${platform.controller.url}/health`)).status, 200);
    await stores.redis.up();
    for (const { body } of answers) t.match(await ended(body.id), { event: 'run.completed' });
    t.equal(recorder.calls.length, 6, 'every step once');
  });

  await t.test('Redis hangs: a run is accepted all the same, and delivered once it goes on', async (t) => {
    const before = recorder.calls.length;
    const pids = stores.redis.pids();
    t.ok(pids.length > 0);
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
    const goOn = () => pids.forEach((pid) => process.kill(pid, 'SIGCONT'));
    t.teardown(goOn);
    const { status, body } = await start();
    t.equal(status, 202);
    t.match(await manager.get('/api/ready'), { status: 200, body: { status: 'degraded' } });
    goOn();
    t.match(await ended(body.id), { event: 'run.completed' });
    t.equal(recorder.calls.length, before + 2, 'every step once');
  });

  await t.test(
    'Postgres hangs: 503 with Retry-After in time, and soon at once; it goes on as if nothing was',
    async (t) => {
      const server = stores.postgres.pid();
      if (server === undefined) throw new Error('Postgres is not running');
      const pids = [server];
      const goOn = () => pids.forEach((pid) => process.kill(pid, 'SIGCONT'));
      t.teardown(goOn);
      // First who makes them: none comes after the others were counted.
      process.kill(server, 'SIGSTOP');
      const children = await readFile(`/proc/${server}/task/${server}/children`, 'utf8').catch(() => null);
      if (children === null) {
        t.pass('no way to find its processes here', { skip: 'not Linux' });
        return;
      }
      pids.push(...children.trim().split(' ').map(Number));
      for (const pid of pids) process.kill(pid, 'SIGSTOP');
      const began = performance.now();
      const before = recorder.calls.length;
      const key = { 'idempotency-key': crypto.randomUUID() };
      const again = () => start(key);
      const first = await again();
      t.match(first, { status: 503, body: { code: 'unavailable' } });
      t.ok(first.headers.get('retry-after'));
      t.comment(`answered after ${(performance.now() - began).toFixed(0)} ms`);
      t.match(await start(), { status: 503, body: { detail: /does not answer/ } }, 'known to hang: refused at once');
      t.equal((await manager.get('/api/health')).status, 200);
      goOn();
      // Whether the first one was taken nobody could say; its key makes them one.
      let after = await again();
      while (after.status === 503) after = await again();
      t.match(await ended(after.body.id), { event: 'run.completed' });
      t.equal(recorder.calls.length, before + 2, 'one run, every step once');
    },
  );

  await t.test(
    'Postgres away: 503 with Retry-After and nothing queued; a run under way ends once it is back',
    async (t) => {
      recorder.hold('step-2');
      const before = recorder.calls.length;
      const { body: underWay } = await start();
      await recorder.called(`${underWay.id}/step-2`);
      await stores.postgres.down();
      const refused = await start();
      t.equal(refused.status, 503);
      t.ok(refused.headers.get('retry-after'));
      t.match(refused.body, { code: 'unavailable' });
      t.match(await manager.get('/api/ready'), { status: 503, body: { status: 'unready' } });
      recorder.release('step-2');
      await stores.postgres.up();
      t.match(await ended(underWay.id), { event: 'run.completed' });
      t.equal(recorder.calls.length, before + 2, 'no step was repeated and nothing else was started');
      for (const service of [platform.gateway, platform.worker, platform.controller]) t.ok(service.running());
      const { body } = await start();
      t.match(await ended(body.id), { event: 'run.completed' }, 'and everything works as before');
    },
  );

  await t.test('a worker stops in order though it stood still while Redis restarted, or Redis is away', async (t) => {
    const { worker } = platform;
    recorder.hold('step-1');
    const { body } = await start();
    await recorder.called(`${body.id}/step-1`);
    worker.signal('SIGSTOP');
    await stores.redis.down();
    await stores.redis.up();
    worker.signal('SIGCONT');
    // It finds its connections broken, and that it is to stop, at the same moment.
    t.match(await worker.kill('SIGTERM'), { code: 0 });
    recorder.release('step-1');
    await worker.restart();
    t.match(await ended(body.id), { event: 'run.completed' });
    await stores.redis.down();
    t.match(await worker.kill('SIGTERM'), { code: 0 });
    await stores.redis.up();
  });
}
