import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient, createTestDatabase, createTestRedis, startService, type LogLine } from '@flowstate/test';
import t from 'tap';

const secret = () => randomBytes(32).toString('base64url');
const folder = await mkdtemp(join(tmpdir(), 'flowstate-first-'));
t.teardown(() => rm(folder, { recursive: true }));
const [database, redis] = await Promise.all([createTestDatabase(t), createTestRedis(t)]);
const environment = (): Record<string, string> => ({
  DATABASE_URL: database.url,
  REDIS_URL: redis.url,
  REDIS_CACHE_URL: redis.cacheUrl,
  JWT_SECRET: secret(),
  JWT_ISSUER: 'flowstate-test',
  JWT_AUDIENCE: 'flowstate-test',
  WORKER_API_KEY: secret(),
  WEBHOOK_SECRET: `whsec_${randomBytes(24).toString('base64')}`,
});

t.test(
  'two gateways of an empty installation make one administrator from a secret file, and never another',
  async (t) => {
    const file = join(folder, 'password');
    await writeFile(file, 'the very first password\n');
    const env = { ...environment(), BOOTSTRAP_ADMIN_PASSWORD_FILE: file };
    const start = (email: string) => startService('gateway', { ...env, BOOTSTRAP_ADMIN_EMAIL: email });
    const gateways = await Promise.all([start('one@example.org'), start('two@example.org')]);
    t.teardown(() => Promise.all(gateways.map((gateway) => gateway.kill('SIGTERM'))));
    const said = ({ msg }: LogLine) => /first administrator made|there is an administrator/.test(msg);
    const lines = await Promise.all(gateways.map((gateway) => gateway.logged(said)));
    t.equal(lines.filter(({ msg }) => msg.startsWith('first')).length, 1);
    const users = await database.sql<{ email: string; role: string }[]>`SELECT email, role FROM users`;
    t.equal(users.length, 1);
    const [admin] = users;
    const client = await createClient(gateways[1].url).login(admin?.email ?? '', 'the very first password');
    t.match(await client.get('/api/admin/users'), { status: 200, body: { items: { length: 1 } } });
    t.notMatch(JSON.stringify(gateways.flatMap(({ log }) => log)), /very first password/);

    const late = await start('late@example.org');
    t.teardown(() => late.kill('SIGTERM'));
    t.match(await late.logged(said), { msg: /there is an administrator/ });
    t.equal((await database.sql`SELECT 1 FROM users`).length, 1);
  },
);

t.test('a gateway does not start on a placeholder, and says which', async (t) => {
  const start = (name: string, value: string) => startService('gateway', { ...environment(), [name]: value });
  await t.rejects(start('JWT_SECRET', 'change-me-change-me-change-me-change-me'), /JWT_SECRET is a placeholder/);
  await t.rejects(start('BOOTSTRAP_ADMIN_EMAIL', 'root@example.org'), /BOOTSTRAP_ADMIN_PASSWORD_FILE is required/);
});
