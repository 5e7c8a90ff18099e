import { Redis } from 'ioredis';
import type { Test } from 'tap';
import { requiredEnv } from './environment.ts';

export type TestRedis = {
  url: string;
  cacheUrl: string;
  /** Empties the queue database, as FLUSHALL would. */
  flush(): Promise<void>;
};

/** An empty numbered database on both Redis instances for one test file. */
export async function createTestRedis(
  t: Pick<Test, 'teardown'>,
  servers?: { redisUrl: string; redisCacheUrl: string },
): Promise<TestRedis> {
  const [url, cacheUrl] = await Promise.all([
    ownDatabase(t, servers?.redisUrl ?? requiredEnv('REDIS_URL')),
    ownDatabase(t, servers?.redisCacheUrl ?? requiredEnv('REDIS_CACHE_URL')),
  ]);
  return {
    url,
    cacheUrl,
    async flush() {
      const redis = new Redis(url);
      await redis.flushdb();
      await redis.quit();
    },
  };
}

async function ownDatabase(t: Pick<Test, 'teardown'>, base: string): Promise<string> {
  const shared = new Redis(base);
  const [, count] = (await shared.config('GET', 'databases')) as [string, string];
  // Database 0 only holds the counter that deals the others out.
  const index = 1 + ((await shared.incr('flowstate-test:database')) % (Number(count) - 1));
  await shared.quit();
  const url = new URL(base);
  url.pathname = `/${index}`;
  const own = new Redis(url.href);
  await own.flushdb();
  t.teardown(async () => {
    await own.flushdb();
    await own.quit();
  });
  return url.href;
}
