import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createSql } from '@flowstate/store';
import {
  createClient,
  createTestRedis,
  pathWithPostgresClient,
  requiredEnv,
  startOwnStores,
  startPlatform,
  startRecorder,
} from '@flowstate/test';
import t from 'tap';
import { flowstate as run } from './fixtures/run-cli.ts';

const workflows = fileURLToPath(new URL('../../../test/fixtures/workflows', import.meta.url));
type Run = { id: string; state: string };

/** An empty database on the server that tests share: what somebody restores into. */
async function createEmptyDatabase(): Promise<string> {
  const server = requiredEnv('DATABASE_URL');
  const admin = createSql(server, { name: 'flowstate-test', max: 1 });
  const name = `flowstate_test_${randomBytes(6).toString('hex')}`;
  await admin.unsafe(`CREATE DATABASE ${name} TEMPLATE template0`);
  t.teardown(async () => {
    await admin.unsafe(`DROP DATABASE ${name} WITH (FORCE)`);
    await admin.end();
  });
  const url = new URL(server);
  url.pathname = `/${name}`;
  return url.href;
}

const tools = await pathWithPostgresClient();
const stores = typeof tools === 'string' ? tools : await startOwnStores(t);
if (typeof tools === 'string' || typeof stores === 'string') {
  t.pass('backup', { skip: [tools, stores].filter((each) => typeof each === 'string').join() });
} else {
  const folder = await mkdtemp(join(tmpdir(), 'flowstate-backup-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const newDatabase = await createEmptyDatabase();
  const newRedis = await createTestRedis(t);
  const platform = await startPlatform(t, { workflows, stores });
  const { gateway, worker, controller } = platform;
  const recorder = await startRecorder(t);
  const manager = await platform.as('manager');
  const backups = `${await mkdtemp(join(folder, 'backups-'))}/`;
  let file = '';

  const flowstate = (args: string[], databaseUrl: string, PATH = tools.PATH) =>
    run(args, { env: { PATH, HOME: folder, DATABASE_URL: databaseUrl } });
  const start = async (steps: number, more: object = {}) => {
    const input = { recorder: recorder.url, steps };
    const { status, body } = await manager.post<Run>('/api/workflows/recorded-steps/runs', { input, ...more });
    t.equal(status, 202);
    return body.id;
  };
  const ended = async (id: string) => (await Array.fromAsync(manager.events(id))).at(-1);
  const recorded = async (id: string, step: string) => {
    for await (const { event, data } of manager.events(id))
      if (event === 'step.completed' && (data['data'] as { name: string }).name === step) return;
  };
  const callsOf = (id: string) => recorder.calls.filter((path) => path.startsWith(id)).map((path) => path.slice(37));

  await t.test(
    'what was accepted before the backup finishes after the loss of all stores; nothing finished is repeated',
    async (t) => {
      const finished = [await start(2), await start(2)];
      for (const id of finished) t.match(await ended(id), { event: 'run.completed' });
      recorder.hold('step-2');
      const running = [await start(3), await start(3)];
      await Promise.all(running.map((id) => recorder.called(`${id}/step-2`)));
      // What the first step gave travels to the ledger while the second runs.
      await Promise.all(running.map((id) => recorded(id, 'step-1')));
      const delayed = await start(1, { delayMs: 60_000 });
      const loggedOut = await platform.as('analyst');

      const [oldest, older, foreign] = ['flowstate-20200101T000000Z.dump', 'flowstate-20200102T000000Z.dump', 'notes'];
      for (const name of [oldest, older, foreign]) await writeFile(join(backups, name), '');
      const made = await flowstate(['backup', backups, '--keep', '2'], platform.database.url);
      t.match(
        made,
        { code: 0, out: /everything accepted until 20.*, 3 unfinished runs among it, [\d.]+ MiB in / },
        made.err,
      );
      t.comment(made.out);
      const [another, kept, newest, ...others] = (await readdir(backups)).toSorted().toReversed();
      t.same([another, newest, others], [foreign, older, []], 'only the newest are kept, and what is no backup');
      file = join(backups, kept ?? '');
      t.equal((await stat(file)).mode & 0o777, 0o600);
      const later = await start(1);
      t.match(await ended(later), { event: 'run.completed' });
      t.equal((await loggedOut.post('/api/auth/logout', {})).status, 204);

      await Promise.all([gateway, worker, controller].map((service) => service.kill('SIGKILL')));
      await Promise.all([stores.postgres.down(), stores.redis.down()]);
      // What the test itself opened there is closed there.
      t.teardown(() => Promise.all([stores.postgres.up(), stores.redis.up()]));
      const lost = performance.now();
      const env = { DATABASE_URL: newDatabase, REDIS_URL: newRedis.url };
      const brought = await flowstate(['restore', file], newDatabase);
      t.match(brought, { code: 0, out: /3 unfinished runs go on, 2 are finished/ }, brought.err);
      t.comment(brought.out);
      await gateway.restart({ ...env, REDIS_CACHE_URL: newRedis.cacheUrl });
      await Promise.all([worker.restart(env), controller.restart(env)]);
      t.equal((await manager.get('/api/auth/me')).status, 200, 'sessions work');
      t.comment(`answers ${((performance.now() - lost) / 1000).toFixed(1)} s after the loss`);
      t.equal(
        (await loggedOut.get('/api/auth/me')).status,
        200,
        'what came after the backup never was: an end of a session, too',
      );

      recorder.release('step-2');
      for (const id of running) {
        t.match(await ended(id), { event: 'run.completed' });
        t.match(callsOf(id), ['step-1', 'step-2', 'step-2', 'step-3'], 'only what was under way is done again');
        t.match(await manager.get(`/api/runs/${id}`), { body: { attempt: 1 } }, "at nobody's expense");
      }
      for (const id of finished) {
        t.match(await manager.get(`/api/runs/${id}`), { body: { state: 'completed' } });
        t.equal(callsOf(id).length, 2);
      }
      t.equal((await manager.get(`/api/runs/${later}`)).status, 404);
      t.match(await manager.get(`/api/runs/${delayed}`), { body: { state: 'queued' } });
      t.match(await manager.post(`/api/runs/${delayed}/cancel`, {}), { status: 202 });
      const admin = await platform.as('admin');
      const { body } = await admin.get<{ items: { id: number }[] }>('/api/admin/workers');
      t.equal(body.items.length, 1);
      t.ok(
        body.items.every(({ id }) => id > 1_000_000),
        'no number that was given out meanwhile',
      );
      t.match(await admin.get('/api/admin/audit?action=store.restored'), { body: { items: [{}] } });
      t.equal((await createClient(gateway.url, manager.token).get('/api/runs')).status, 200);
    },
  );

  await t.test('a database that came back by other means is made fit, once nobody is on it', async (t) => {
    const busy = await flowstate(['restore', '--recovered'], newDatabase);
    t.match(busy, { code: 1, err: /Services run on this database \(flowstate-.*flowstate-worker/ });
    await Promise.all([gateway, worker, controller].map((service) => service.kill('SIGTERM')));
    const fit = await flowstate(['restore', '--recovered'], newDatabase);
    t.match(fit, { code: 0, out: /restored in .* are finished/ }, fit.err);
    t.match(await flowstate(['restore'], newDatabase), { code: 2, err: /Give the file of a backup, or --recovered/ });
  });

  await t.test('bad input is told', async (t) => {
    const kept = await flowstate(['backup', file, '--keep', '2'], newDatabase);
    t.match(kept, { code: 2, err: /--keep is for a folder/ });
    const onto = await flowstate(['restore', file], newDatabase);
    t.match(onto, { code: 1, err: /holds a Flowstate already/ });
    const missing = await flowstate(['backup', join(folder, 'none/here.dump')], newDatabase);
    t.match(missing, { code: 1, err: /ENOENT|no such file/ });
    const without = await flowstate(['backup', file], newDatabase, folder);
    t.match(without, { code: 1, err: /pg_dump is not there: install/ });
    const empty = await createEmptyDatabase();
    await truncate(file, Math.floor((await stat(file)).size / 2));
    t.match(await flowstate(['restore', file], empty), { code: 1, err: /pg_restore ended with 1/ });
    t.match(await flowstate(['restore', file], empty), { code: 1, err: /pg_restore ended with 1/ }, 'still empty');
    t.match(await flowstate(['restore', join(folder, 'none')], empty), { code: 1, err: /pg_restore .*none/ });
  });
}
