import { readClusterAddress } from '@flowstate/contracts';
import { Cluster, Redis } from 'ioredis';

const once = { lazyConnect: true, enableOfflineQueue: false } as const;
const patience = { connectTimeout: 3_000, commandTimeout: 5_000, maxRetriesPerRequest: 0 } as const;

/** A client of the Redis (or the cluster) at `url` for an operator's command: it connects when told, and tries once. */
export function createDirectRedis(url: string): Redis {
  const cluster = readClusterAddress(url);
  if (cluster === null) return new Redis(url, { ...once, ...patience, retryStrategy: () => null });
  const { nodes, username, password, tls } = cluster;
  const client: unknown = new Cluster(nodes, {
    ...once,
    clusterRetryStrategy: () => null,
    redisOptions: {
      ...patience,
      ...(username !== undefined && { username }),
      ...(password !== undefined && { password }),
      ...(tls && { tls: {} }),
    },
  });
  return client as Redis;
}

/**
 * The servers a client talks to: what is asked of a server, not of a key, is asked of each. Throws where none of a
 * cluster's can be reached: nothing would look like an answer.
 */
export function serversOf(redis: Redis, role: 'master' | 'all' = 'master'): Redis[] {
  const client: unknown = redis;
  if (!(client instanceof Cluster)) return [redis];
  const servers = client.nodes(role);
  if (servers.length === 0) throw new Error('No node of the cluster can be reached');
  return servers;
}

/** A connection for an operator's command, to the first of these addresses that lets it in. Throws what the first one said. */
export async function openRedis(urls: readonly string[]): Promise<Redis> {
  let reason: Error | undefined;
  for (const url of urls) {
    const redis = createDirectRedis(url);
    // ioredis keeps the cause for its event; the promise only says that the connection is closed.
    redis.on('error', (error: Error) => (reason ??= error));
    try {
      await redis.connect();
      await redis.ping();
      return redis;
    } catch (error) {
      reason ??= error as Error;
      redis.disconnect();
    }
  }
  throw reason ?? new Error('no address was given');
}
