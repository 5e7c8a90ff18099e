import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startStores, type Outage, type Stores } from '@flowstate/local';
import type { Test } from 'tap';
import { requiredEnv } from './environment.ts';
import { clusterSettings, startRedisCluster } from './redis-cluster.ts';
import { onClusters } from './redis.ts';

export type OwnStores = Omit<Stores, 'redis'> & {
  postgres: Outage;
  redis: Pick<Outage, 'down' | 'up'> & {
    /** Its processes: one, or each node of a cluster. */
    pids(): number[];
  };
};

/** Stores of our own, which we may take away; the reason where there are no local programs to run. */
export async function startOwnStores(
  t: Pick<Test, 'teardown'>,
  log: (line: string) => void = () => {},
): Promise<OwnStores | string> {
  const dataDir = await mkdtemp(join(tmpdir(), 'flowstate-outage-'));
  const stores = await startStores({
    dataDir,
    cacheDir: requiredEnv('FLOWSTATE_CACHE'),
    ephemeral: true,
    env: { PATH: process.env.PATH },
    log,
  }).catch((error: unknown) => String(error));
  if (typeof stores === 'string') {
    await rm(dataDir, { recursive: true, force: true });
    return stores;
  }
  t.teardown(async () => {
    await stores.stop();
    await rm(dataDir, { recursive: true, force: true });
  });
  const { postgres, redis } = stores;
  if (postgres === undefined || redis === undefined)
    return 'stores are not processes of ours here, they cannot be taken away';
  if (!onClusters) {
    const { down, up } = redis;
    return { ...stores, postgres, redis: { down, up, pids: () => known([redis.pid()]) } };
  }
  const [queues, cache] = await Promise.all([
    startRedisCluster(t, { settings: clusterSettings.queues }),
    startRedisCluster(t, { settings: clusterSettings.cache }),
  ]);
  if (typeof queues === 'string') return queues;
  if (typeof cache === 'string') return cache;
  const { nodes, down, up } = queues;
  const pids = () => known(nodes.map((node) => node.pid()));
  return { ...stores, redisUrl: queues.url, redisCacheUrl: cache.url, postgres, redis: { down, up, pids } };
}

function known(pids: (number | undefined)[]): number[] {
  return pids.filter((pid) => pid !== undefined);
}
