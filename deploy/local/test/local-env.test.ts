import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { settleLocalEnv } from '../src/local-env.ts';

const urls = {
  DATABASE_URL: 'postgres://owner:secret@127.0.0.1:5432/flowstate',
  REDIS_URL: 'redis://127.0.0.1:6379',
  REDIS_CACHE_URL: 'redis://127.0.0.1:6380',
  GATEWAY_URL: 'http://127.0.0.1:3001',
  WORKER_URL: 'http://worker',
  CONTROLLER_URL: 'http://controller',
};

t.test('makes secrets once, keeps them, and only the owner may read them', (t) => {
  const file = join(t.testdir(), 'local.env');
  const first = settleLocalEnv(file, urls, {});
  t.equal(statSync(file).mode & 0o777, 0o600);
  t.ok(Buffer.from(first.JWT_SECRET, 'base64url').length >= 32);
  t.not(first.JWT_SECRET, first.WORKER_API_KEY);
  t.match(first.WEBHOOK_SECRET, /^whsec_[A-Za-z0-9+/]{32}$/, 'a key in the form of Standard Webhooks');
  const moved = { ...urls, DATABASE_URL: 'postgres://owner:secret@127.0.0.1:5999/flowstate' };
  const second = settleLocalEnv(file, moved, {});
  t.match(second, {
    JWT_SECRET: first.JWT_SECRET,
    DEMO_PASSWORD: first.DEMO_PASSWORD,
    DATABASE_URL: moved.DATABASE_URL,
  });
  t.equal(second.WORKER_DATABASE_URL, first.WORKER_DATABASE_URL.replace(':5432', ':5999'), 'the login stays');
  const other = settleLocalEnv(join(t.testdirName, 'other.env'), urls, {});
  t.not(other.JWT_SECRET, first.JWT_SECRET);
  t.end();
});

t.test('logins of the services are neither the owner nor each other', (t) => {
  const settings = settleLocalEnv(join(t.testdir(), 'local.env'), urls, {});
  const names = [settings.APP_DATABASE_URL, settings.WORKER_DATABASE_URL].map((url) => new URL(url).username);
  t.equal(new Set([...names, 'owner']).size, 3);
  t.notMatch(
    readFileSync(join(t.testdirName, 'local.env'), 'utf8').split('WORKER_DATABASE_URL')[1]?.split('\n')[0],
    /secret@/,
  );
  t.end();
});

t.test('the environment wins, also as a file', (t) => {
  const dir = t.testdir({ key: 'k'.repeat(40) + '\n' });
  const file = join(dir, 'local.env');
  const env = { JWT_SECRET: 'given=with#signs'.repeat(3), WORKER_API_KEY_FILE: join(dir, 'key') };
  const settings = settleLocalEnv(file, urls, env);
  t.match(settings, { JWT_SECRET: env.JWT_SECRET, WORKER_API_KEY: 'k'.repeat(40) });
  t.equal(settleLocalEnv(file, urls, {}).JWT_SECRET, env.JWT_SECRET, 'and is kept as it was');
  t.end();
});

t.test('a file somebody edited keeps what can be used', (t) => {
  const file = join(t.testdir(), 'local.env');
  writeFileSync(file, '# mine\n\nDEMO_PASSWORD=chosen\nnonsense\n');
  t.match(settleLocalEnv(file, urls, {}), { DEMO_PASSWORD: 'chosen', JWT_ISSUER: 'flowstate' });
  t.end();
});
