import { Redis } from 'ioredis';
import type { Test } from 'tap';
// By its file: the package takes BullMQ along, a third of all that a test file would load.
import { mastersOf, openRedis } from '../../packages/queue/src/open-redis.ts';
import { requiredEnv } from './environment.ts';
import { clusterSettings, startRedisCluster } from './redis-cluster.ts';

// Tests ask one server or a cluster alike, as the product does.
export { openRedis };

/** `FLOWSTATE_TEST_REDIS=cluster npm test`: each test file's Redis are two clusters of three nodes. */
export const onClusters = process.env.FLOWSTATE_TEST_REDIS === 'cluster';

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
  const [url, cacheUrl] = await Promise.all(
    servers === undefined && onClusters
      ? [ownCluster(t, 'queues'), ownCluster(t, 'cache')]
      : [
          ownDatabase(t, servers?.redisUrl ?? requiredEnv('REDIS_URL')),
          ownDatabase(t, servers?.redisCacheUrl ?? requiredEnv('REDIS_CACHE_URL')),
        ],
  );
  return {
    url,
    cacheUrl,
    async flush() {
      const redis = openRedis(url);
      await emptyRedis(redis);
      await redis.quit();
    },
  };
}

/** FLUSHDB, on every node where it is a cluster. */
export async function emptyRedis(redis: Redis): Promise<void> {
  // A cluster's client knows its nodes once it has connected.
  await redis.ping();
  await Promise.all(mastersOf(redis).map((node) => node.flushdb()));
}

/** The names of all keys, of every node where it is a cluster. */
export async function keysOf(redis: Redis, pattern = '*'): Promise<string[]> {
  await redis.ping();
  return (await Promise.all(mastersOf(redis).map((node) => node.keys(pattern)))).flat();
}

/** Empty ones that this test file has started and uses no more: to start one takes more than two seconds. */
const idle = { queues: [] as string[], cache: [] as string[] };

async function ownCluster(t: Pick<Test, 'teardown'>, use: keyof typeof clusterSettings): Promise<string> {
  const url = idle[use].pop() ?? (await startClusterForFile(use));
  t.teardown(async () => {
    const redis = openRedis(url);
    await emptyRedis(redis);
    await redis.quit();
    idle[use].push(url);
  });
  return url;
}

async function startClusterForFile(use: keyof typeof clusterSettings): Promise<string> {
  // Imported where it is no test that runs, tap would report one.
  const { t: file } = await import('tap');
  const cluster = await startRedisCluster(file, { settings: clusterSettings[use] });
  if (typeof cluster === 'string') throw new Error(cluster);
  return cluster.url;
}

async function ownDatabase(t: Pick<Test, 'teardown'>, base: string): Promise<string> {
  // A test's own cluster has no numbered databases, and is empty.
  if (base.includes('+cluster:')) return base;
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
