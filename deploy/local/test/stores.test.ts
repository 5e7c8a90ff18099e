import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import t from 'tap';
import { Advice, cacheDir, processStart } from '../host.mjs';
import { startStores } from '../src/stores.ts';
import { CLONE } from '../toolchain.mjs';

// Programs of this machine, or unpacked ones: not the stores the test run was given, nor a container.
const { DATABASE_URL } = process.env;
const env = { PATH: process.env['PATH'], HOME: process.env['HOME'] };
const options = {
  dataDir: join(CLONE, '.flowstate'),
  cacheDir: cacheDir(process.env, CLONE),
  log: () => undefined,
  env,
};

/** Stores for one test, or undefined (and the test skipped) where this machine has no way to get any. */
async function ownStores(t: Tap, where: { dataDir: string } | { ephemeral: true } = { ephemeral: true }) {
  try {
    const stores = await startStores({ ...options, ...where });
    t.teardown(() => stores.stop());
    return stores;
  } catch (error) {
    if (!(error instanceof Advice)) throw error;
    t.plan(0, `no stores of its own on this machine: ${error.message}`);
    return undefined;
  }
}
type Tap = Pick<typeof t, 'teardown' | 'plan'>;

t.test('real stores with the settings they are needed for, gone without a trace', async (t) => {
  const stores = await ownStores(t);
  if (!stores) return;
  const sql = postgres(stores.databaseUrl, { max: 1, onnotice: () => undefined });
  await sql`CREATE EXTENSION vector`;
  const [row] = await sql`
    SELECT current_setting('fsync') AS fsync, current_setting('jit') AS jit, upper('é') AS upper,
           current_setting('server_encoding') AS encoding, '[1,2]'::vector <-> '[1,4]'::vector AS distance,
           current_setting('data_directory') AS data`;
  t.match(row, { fsync: 'off', jit: 'off', encoding: 'UTF8', distance: 2 });
  await sql.end();

  const [queue, cache] = [new Redis(stores.redisUrl), new Redis(stores.redisCacheUrl)];
  const setting = async (redis: Redis, name: string) => (await redis.config('GET', name)).at(1);
  t.equal(await setting(queue, 'maxmemory-policy'), 'noeviction');
  t.equal(await setting(queue, 'appendonly'), 'yes');
  t.equal(await setting(queue, 'appendfsync'), 'everysec');
  t.equal(await setting(cache, 'maxmemory-policy'), 'allkeys-lru');
  t.not(await setting(cache, 'maxmemory'), '0');
  for (const redis of [queue, cache]) {
    t.equal(await setting(redis, 'databases'), '1024');
    t.equal(await setting(redis, 'bind'), '127.0.0.1');
    redis.disconnect();
  }
  const stranger = new Redis(stores.redisUrl.replace(/:[^:@]+@/, ':wrong@'), {
    lazyConnect: true,
    retryStrategy: () => null,
  });
  stranger.on('error', () => undefined);
  await t.rejects(stranger.connect().then(() => stranger.ping()));
  stranger.disconnect();

  await stores.stop();
  t.notOk(existsSync(join(String(row?.['data']), '..')));
});

t.test('a store that is taken away comes back with its data at the same address', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'stores-test-'));
  chmodSync(dir, 0o755);
  t.teardown(() => rmSync(dir, { recursive: true, force: true })); // last: in the reverse order
  const stores = await ownStores(t, { dataDir: dir });
  if (!stores?.postgres || !stores.redis) return;
  const insert = postgres(stores.databaseUrl, { max: 1 });
  t.match(await insert`SHOW fsync`, [{ fsync: 'on' }], 'data that is kept is safe from more than a crash');
  await insert`CREATE TABLE kept AS SELECT 1 AS x`;
  await insert.end();
  const before = stores.postgres.pid();
  await stores.postgres.down('SIGKILL');
  await t.rejects(postgres(stores.databaseUrl, { max: 1, connect_timeout: 1 })`SELECT 1`, { code: 'ECONNREFUSED' });
  await stores.postgres.up();
  t.not(stores.postgres.pid(), before);
  const read = postgres(stores.databaseUrl, { max: 1 });
  t.match(await read`SELECT x FROM kept`, [{ x: 1 }]);
  await read.end();

  const redis = new Redis(stores.redisUrl);
  await redis.set('kept', '1');
  redis.disconnect();
  await stores.redis.down();
  await stores.redis.up();
  const again = new Redis(stores.redisUrl);
  t.equal(await again.get('kept'), '1');
  again.disconnect();
});

t.test('stores of a killed run are ended and their data deleted by the next', async (t) => {
  if (!(await ownStores(t))) return;
  const program = `
    import { startStores } from ${JSON.stringify(new URL('../src/stores.ts', import.meta.url).href)};
    const stores = await startStores(${JSON.stringify({ ...options, ephemeral: true })} );
    console.log(JSON.stringify([stores.postgres.pid(), stores.redis.pid(), stores.databaseUrl]));`;
  const child = spawn(
    process.execPath,
    ['--input-type=module', '--eval', program.replace('} );', ', log: () => undefined });')],
    { env },
  );
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  const [postgresPid, redisPid] = JSON.parse(line) as [number, number, string];
  child.kill('SIGKILL');
  await once(child, 'exit');
  t.ok(processStart(postgresPid));
  await ownStores(t);
  t.equal(processStart(postgresPid), undefined);
  t.equal(processStart(redisPid), undefined);
});

t.test('an address that does not work is named without its password', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'stores-test-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  chmodSync(dir, 0o755);
  const fails = async (given: NodeJS.ProcessEnv, message: RegExp) => {
    const starting = startStores({ ...options, dataDir: dir, env: { ...env, ...given } });
    const error = await starting.then(
      () => undefined,
      (problem: unknown) => problem as Error,
    );
    t.ok(error instanceof Advice);
    t.match(error?.message, message);
    t.notMatch(error?.message, 'geheim');
    t.notMatch(error?.message, '\n');
  };
  await fails(
    { DATABASE_URL: 'postgres://bob:geheim@127.0.0.1:1/db' },
    /^DATABASE_URL \(127\.0\.0\.1:1\/db as bob\).*ECONNREFUSED/,
  );
  await fails({ DATABASE_URL: 'bob:geheim' }, /^DATABASE_URL is not a postgres/);
  await fails({ REDIS_URL: 'redis://:geheim@127.0.0.1:1' }, /^REDIS_URL \(127\.0\.0\.1:1\).*ECONNREFUSED/);
  await fails({ REDIS_CACHE_URL: 'http://:geheim@127.0.0.1:1' }, /^REDIS_CACHE_URL is not a redis/);
  if (DATABASE_URL === undefined) return;
  const nowhere = new URL(DATABASE_URL);
  nowhere.pathname = '/there_is_no_such_database';
  await fails({ DATABASE_URL: nowhere.href }, /^DATABASE_URL .*does not exist/);
  t.notMatch(readFileSync(join(dir, 'stores.json'), 'utf8'), 'geheim', 'what was given is not kept');
});
