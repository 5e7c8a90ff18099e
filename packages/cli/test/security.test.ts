import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTestDatabase, openRedis, startPlatform } from '@flowstate/test';
import t from 'tap';
import { flowstate as run } from './fixtures/run-cli.ts';

const platform = await startPlatform(t);
const folder = await mkdtemp(join(tmpdir(), 'flowstate-cli-'));
t.teardown(() => rm(folder, { recursive: true }));
const api = {
  FLOWSTATE_URL: platform.gateway.url,
  FLOWSTATE_EMAIL: 'admin@flowstate.local',
  FLOWSTATE_PASSWORD: platform.secrets.password,
};
const stores = { DATABASE_URL: platform.database.url, REDIS_URL: platform.redis.url };

const flowstate = (args: string[], env: Record<string, string> = api) => run(args, { env });
const fileOf = async (name: string, content: string) => {
  await writeFile(join(folder, name), content);
  return join(folder, name);
};

t.test('users and keys: made, changed, disabled, ended', async (t) => {
  const password = await fileOf('ann', 'a long enough password\n');
  const made = await flowstate([
    'users',
    'create',
    'ann@example.org',
    '--role',
    'agent',
    '--name',
    'Ann',
    '--new-password-file',
    password,
  ]);
  t.match(made, { code: 0, out: /ann@example\.org +Ann +agent +yes/ }, made.err);
  const asAnn = { ...api, FLOWSTATE_EMAIL: 'ann@example.org', FLOWSTATE_PASSWORD: 'a long enough password' };
  t.equal((await flowstate(['runs', 'list'], asAnn)).code, 0);
  t.match(await flowstate(['users', 'list'], asAnn), { code: 1, err: /403/ });
  t.match(await flowstate(['users', 'change', 'ann@example.org', '--role', 'analyst']), { code: 0, out: /analyst/ });
  t.match(await flowstate(['users', 'disable', 'ann@example.org']), { code: 0, out: /\d{4}-/ });
  t.match(await flowstate(['runs', 'list'], asAnn), { code: 1, err: /401/ });
  t.match(await flowstate(['users', 'list', '--role', 'analyst']), { code: 0, out: /ann@example\.org/ });
  t.match(await flowstate(['users', 'disable', 'admin@flowstate.local']), { code: 1, err: /last administrator/ });
  t.match(await flowstate(['users', 'change', 'ann@example.org']), { code: 2, err: /say what/ });
  t.match(await flowstate(['users', 'enable', 'nobody@example.org']), { code: 1, err: /no user/ });

  t.equal((await flowstate(['users', 'create', 'ci@example.org', '--role', 'service', '--name', 'CI'])).code, 0);
  const key = await flowstate(['keys', 'create', 'ci@example.org', '--name', 'deploy', '--days', '7']);
  t.match(key, { code: 0, out: /^fsk_\w{12}_[\w-]{43}\n$/, err: /only now/ });
  const asCi = { FLOWSTATE_URL: api.FLOWSTATE_URL, FLOWSTATE_TOKEN: key.out.trim() };
  t.equal((await flowstate(['runs', 'list'], asCi)).code, 0);
  const [listed] = JSON.parse((await flowstate(['keys', 'list', '--user', 'ci@example.org', '--json'])).out) as {
    id: string;
  }[];
  t.equal((await flowstate(['keys', 'revoke', String(listed?.id)])).code, 0);
  t.match((await flowstate(['keys', 'list'])).out, /deploy .*revoked/);
  t.match(await flowstate(['runs', 'list'], asCi), { code: 1, err: /401/ });
});

t.test("Redis' address may stand in what the clone was started with, or in a file", async (t) => {
  const address = platform.redis.url;
  const localEnvFile = await fileOf('local.env', `REDIS_URL=${address}\n`);
  const status = ['redis', 'status', '--instance', 'queues'];
  t.match(await run(status, { localEnvFile }), { code: 0, out: /^USER +PASSWORDS/ });
  t.match(await run(status, { env: { REDIS_URL_FILE: await fileOf('redis', `${address}\n`) } }), { code: 0 });
  t.match(await run(status), { code: 2, err: /REDIS_URL must be the address/ });
});

t.test('switches and limits are taken back, also those that nobody changed', async (t) => {
  t.match(await flowstate(['flags', 'set', 'import', 'off', '--reason', 'a test']), { code: 0, out: /import +off/ });
  t.match(await flowstate(['flags', 'reset', 'import']), { code: 0, out: /import +on/ });
  t.match(await flowstate(['flags', 'reset', 'import']), { code: 0, out: 'import has its default already\n' });
  t.match(await flowstate(['flags', 'reset', 'imports']), { code: 1, err: /must be one of/ });
  t.match(await flowstate(['limits', 'set', 'default', 'maxSearchLimit=5']), { code: 0 });
  const free = { code: 0, out: 'default has no limits of its own\n' };
  t.match(await flowstate(['limits', 'reset', 'default']), free);
  t.match(await flowstate(['limits', 'reset', 'default']), free, 'also when nobody set any');
});

t.test('a lockdown is made, seen and ended; roles get owners', async (t) => {
  const manager = await platform.as('manager');
  const locked = await flowstate([
    'access',
    'lock',
    'data:read',
    '--roles',
    'admin,agent',
    '--reason',
    'incident 7',
    '--for',
    '15m',
  ]);
  t.match(locked, { code: 0, out: /data:read +admin,agent .*incident 7/ }, locked.err);
  const [made] = JSON.parse((await flowstate(['access', 'list', '--json'])).out) as { id: string; expiresAt: string }[];
  const minutes = (Date.parse(made?.expiresAt ?? '') - Date.now()) / 60_000;
  t.ok(minutes > 14 && minutes <= 15);
  t.equal((await manager.get('/api/customers')).status, 403);
  const routes = (await flowstate(['access', 'routes'])).out;
  t.match(routes, /GET \/api\/customers +data:read +admin,agent +LOCKED DOWN/);
  t.match(routes, /POST \/api\/schedules +\S* *admin,manager +no\s/, 'what no run may call');
  t.match(await flowstate(['access', 'release', String(made?.id)]), { code: 0, out: /as the table says/ });
  t.equal((await manager.get('/api/customers')).status, 200);
  t.match(await flowstate(['access', 'lock', 'administer', '--reason', 'oops']), {
    code: 1,
    err: /must contain admin/,
  });
  t.match(await flowstate(['access', 'lock', 'data:read', '--reason', 'x', '--for', 'ever']), {
    code: 2,
    err: /--for/,
  });

  t.match((await flowstate(['access', 'owners'])).out, /agent +nobody yet/);
  const owners = await flowstate([
    'access',
    'owners',
    'agent',
    '--owner',
    'Head of Sales',
    '--contact',
    'sales@example.org',
  ]);
  t.match(owners, { code: 0, out: /agent +Head of Sales +sales@example\.org/ });
  t.match(await flowstate(['access', 'owners', 'agent']), { code: 2, err: /--owner/ });
});

t.test('sessions are listed, verified and ended, by the API and without a gateway', async (t) => {
  const redis = openRedis(platform.redis.url);
  t.teardown(() => redis.disconnect());
  const [manager, agent] = [await platform.as('manager'), await platform.as('agent')];
  t.match(
    (await flowstate(['sessions', 'list', '--user', 'agent@flowstate.local'])).out,
    /agent@flowstate\.local +agent/,
  );
  t.match(await flowstate(['sessions', 'verify']), { code: 0, out: /^sound: / });
  t.match(await flowstate(['sessions', 'revoke', '--user', 'agent@flowstate.local']), {
    code: 0,
    out: '1 session ended\n',
  });
  t.equal((await agent.get('/api/auth/me')).status, 401);
  t.match(await flowstate(['sessions', 'revoke', crypto.randomUUID()]), { code: 1, err: /404/ });
  t.match(await flowstate(['sessions', 'revoke']), { code: 2, err: /--user/ });

  const contained = await flowstate(['contain', 'user:agent@flowstate.local', '--reason', 'incident 7']);
  t.match(
    contained,
    { code: 0, out: /is contained .*obeyed +by all 2 processes, the last after \d+ ms/s },
    contained.err,
  );
  t.match((await flowstate(['contain', '--list'])).out, /agent@flowstate\.local .*admin@flowstate\.local .*incident 7/);
  t.match((await flowstate(['users', 'list'])).out, /agent@flowstate\.local .*contained \d{4}-/);
  t.match(await flowstate(['contain']), { code: 2, err: /name whom/ });
  t.match(await flowstate(['contain', 'user:x@example.org']), { code: 2, err: /--reason/ });
  t.match(await flowstate(['release', 'user:agent@flowstate.local']), { code: 0, out: /stay revoked/ });

  const ended = platform.gateway.kill('SIGKILL');
  await ended;
  t.match(await flowstate(['sessions', 'list']), { code: 1, err: /No answer from/ });
  t.match(await flowstate(['sessions', 'list', '--direct'], stores), { code: 0, out: /manager@flowstate\.local/ });
  const direct = await flowstate(['sessions', 'revoke', '--user', 'manager@flowstate.local', '--direct'], stores);
  t.match(direct, { code: 0, out: /^\d sessions? ended\n$/ });
  t.match(await flowstate(['sessions', 'revoke', '--user', 'x@example.org', '--direct'], stores), {
    code: 1,
    err: /no user/,
  });
  t.match(await flowstate(['sessions', 'verify', '--direct'], stores), { code: 0, out: /^sound: / });
  await redis.set(`flowstate:session:${crypto.randomUUID()}`, '{}');
  t.match(await flowstate(['sessions', 'verify', '--direct'], stores), { code: 1, out: /^NOT SOUND: .*1 orphaned/ });
  t.equal((await flowstate(['sessions', 'verify', '--direct', '--repair'], stores)).code, 1);
  t.equal((await flowstate(['sessions', 'verify', '--direct'], stores)).code, 0);
  t.match(await flowstate(['sessions', 'list', '--direct'], { DATABASE_URL: stores.DATABASE_URL }), {
    code: 2,
    err: /REDIS_URL/,
  });
  const noRedis = { ...stores, REDIS_URL: 'redis://127.0.0.1:9' };
  t.match(await flowstate(['sessions', 'list', '--direct'], noRedis), { code: 0, err: /Redis cannot be reached/ });
  const noStores = { DATABASE_URL: 'postgres://127.0.0.1:9/x', REDIS_URL: 'redis://127.0.0.1:9' };
  t.match(await flowstate(['sessions', 'list', '--direct'], noStores), { code: 1, err: /stores cannot be used/ });

  const without = ['contain', 'user:manager@flowstate.local', '--reason', 'no gateway', '--direct'];
  t.match(await flowstate(without, stores), { code: 1, out: /NOT YET obeyed by gateway 1 / }, 'it was heard of lately');
  t.match(await flowstate(['contain', '--list', '--direct', '--json'], stores), { code: 0, out: /"author": null/ });
  t.match(await flowstate(['contain', 'user:admin@flowstate.local', '--reason', 'all', '--direct'], stores), {
    code: 1,
    err: /last administrator/,
  });

  await platform.gateway.restart();
  const login = { email: 'manager@flowstate.local', password: platform.secrets.password };
  /** A gateway that has just started on a busy machine may say that it is under pressure. */
  const logIn = async () => {
    for (;;) {
      const { status } = await manager.post('/api/auth/login', login);
      if (status !== 503) return status;
    }
  };
  t.equal(await logIn(), 401, 'whom it was told of meanwhile stays out');
  t.match(await flowstate(['release', 'user:manager@flowstate.local', '--direct'], stores), { code: 0 });
  t.equal(await logIn(), 200);
  t.equal((await manager.get('/api/auth/me')).status, 401, 'what was ended without it is ended');
});

t.test('the search cache: what it does, and clearing it', async (t) => {
  t.match(await flowstate(['cache', 'stats']), {
    code: 0,
    out: /searches: hit +\d+[^]*redis +up[^]*redis bytes +\d+ of/,
  });
  t.match(JSON.parse((await flowstate(['cache', 'stats', '--json'])).out), { redis: { state: 'up', evicted: 0 } });
  const reason = ['--reason', 'wrong answers'];
  t.match(await flowstate(['cache', 'clear', ...reason]), { code: 0, out: 'cleared: there are no collections\n' });
  t.match(await flowstate(['cache', 'clear', '--collection', 'nowhere', ...reason]), {
    code: 1,
    err: /no collection nowhere/,
  });
  t.match(await flowstate(['cache', 'clear']), { code: 2, err: /--reason/ });
});

t.test('the first administrator is made in an empty installation, once', async (t) => {
  const { url, sql } = await createTestDatabase(t);
  const password = await fileOf('root', 'a long enough password\n');
  const create = (email: string, file = password) =>
    flowstate(['admin', 'create', '--email', email, '--password-file', file], { DATABASE_URL: url });
  t.match(await create('root'), { code: 2, err: /--email/ });
  t.match(await create('root@example.org', await fileOf('short', 'short')), { code: 2, err: /at least 12/ });
  t.match(await create('root@example.org'), { code: 0, out: /root@example\.org admin\n$/ });
  t.match(await create('second@example.org'), { code: 1, err: /an administrator already/ });
  t.equal((await sql`SELECT 1 FROM users`).length, 1);
});
