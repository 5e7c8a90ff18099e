import { chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { keepAlive, until, type Kept } from '../keep-alive.ts';
import { freePort } from '../ports.ts';
import { writePrivate } from '../private-file.ts';
import { openStoreLog, type StoreHome } from './store-home.ts';

/** What the two instances are for decides what they may lose. */
const settings = {
  redis: ['appendonly yes', 'appendfsync everysec', 'maxmemory-policy noeviction'],
  'redis-cache': ['appendonly no', 'maxmemory 256mb', 'maxmemory-policy allkeys-lru'],
};

/** Starts one Redis server on a free loopback port; `redis` keeps its data over restarts, `redis-cache` does not. */
export async function startRedis(
  program: string,
  name: keyof typeof settings,
  home: StoreHome,
): Promise<{ url: string; kept: Kept }> {
  const dir = join(home.dir, name);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  if (home.user) chownSync(dir, home.user.uid, home.user.gid);
  const port = await freePort(home.ports.get(name));
  home.ports.set(name, port);
  // In a file, because arguments are shown to every user of the machine.
  const config = join(dir, 'redis.conf');
  const lines = [
    'bind 127.0.0.1',
    `port ${port}`,
    `requirepass ${home.password}`,
    `dir "${dir}"`,
    'databases 1024',
    'save ""',
    'daemonize no',
    ...settings[name],
  ];
  writePrivate(config, `${lines.join('\n')}\n`, home.user);
  const url = `redis://:${home.password}@127.0.0.1:${port}`;
  const kept = keepAlive(
    {
      name,
      command: program,
      args: [config],
      env: { PATH: '/usr/local/bin:/usr/bin:/bin', LANG: 'C', LC_ALL: 'C' },
      cwd: '/',
      user: home.user,
      address: `127.0.0.1:${port}`,
      onLine: openStoreLog(home, name),
      ready: (signal) => until(() => ping(url), { signal, timeoutMs: 30_000, what: name }),
      graceMs: 10_000,
    },
    home,
  );
  await kept.up(home.signal);
  return { url, kept };
}

async function ping(url: string): Promise<void> {
  const redis = new Redis(url, {
    lazyConnect: true,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    connectTimeout: 2000,
  });
  // The rejected promise says the same.
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    await redis.ping();
  } finally {
    redis.disconnect();
  }
}
