import { readClusterAddress } from '@flowstate/contracts';
import { Cluster, Redis, type RedisOptions } from 'ioredis';

type Options = Pick<
  RedisOptions,
  'enableOfflineQueue' | 'lazyConnect' | 'commandTimeout' | 'maxRetriesPerRequest' | 'retryStrategy'
>;

/**
 * A client of the Redis at `url`, which may be a cluster. A cluster's client has the same commands, with one
 * restriction: keys of one command, transaction or pipeline must be of one slot, which a `{tag}` in their names makes.
 */
export function openRedis(url: string, options: Options = {}): Redis {
  const address = readClusterAddress(url);
  if (address === null) return gathersWrites(new Redis(url, options));
  const { nodes, username, password, tls } = address;
  const { enableOfflineQueue = true, lazyConnect = false, commandTimeout } = options;
  const cluster = new Cluster(nodes, {
    enableOfflineQueue,
    lazyConnect,
    clusterRetryStrategy: options.retryStrategy ?? ((times) => Math.min(100 + times * 50, 2_000)),
    redisOptions: {
      ...(commandTimeout !== undefined && { commandTimeout }),
      ...(options.maxRetriesPerRequest !== undefined && { maxRetriesPerRequest: options.maxRetriesPerRequest }),
      ...(username !== undefined && { username }),
      ...(password !== undefined && { password }),
      ...(tls && { tls: {} }),
    },
  });
  cluster.on('+node', (node: Redis) => {
    gathersWrites(node);
    // Made only when first needed, a connection would hold up what is asked of its node meanwhile by 100 ms.
    if (node.options.readOnly !== true) node.connect().catch(() => {}); // tried again by whoever needs it
  });
  // One that is lost ioredis connects to when next it is needed: an idle client whose password was taken back there
  // would seem to have another (`flowstate redis retire-password`), and the next command has to go another way.
  let again: NodeJS.Timeout | undefined;
  cluster.on('-node', () => {
    clearTimeout(again);
    again = setTimeout(() => cluster.status === 'ready' && cluster.refreshSlotsCache(), 500).unref();
  });
  endsWithoutNodes(cluster);
  // Everything that is asked of it here a cluster's client has too.
  return cluster as unknown as Redis;
}

/**
 * ioredis takes a cluster's client for ended once its last node is disconnected: one that knows none yet, or none any
 * more, would never end, and what it was asked never be refused.
 */
function endsWithoutNodes(cluster: Cluster): void {
  const disconnect = cluster.disconnect.bind(cluster);
  cluster.disconnect = (reconnect?: boolean) => {
    // As before its first connection, when it ends at once.
    if (!reconnect && cluster.status !== 'end' && cluster.nodes().length === 0) cluster.status = 'wait';
    disconnect(reconnect);
  };
}

/**
 * What is sent side by side leaves by one write to the socket: a group commit ends many runs at once, and each goes on
 * as far as the others. Nothing waits for more to come. (ioredis' own auto-pipelining does, and makes a pipeline with
 * all of BullMQ's scripts each time, which costs more than the write.)
 */
function gathersWrites(redis: Redis): Redis {
  redis.on('connect', () => {
    const { stream } = redis;
    const write = stream.write.bind(stream) as (...given: unknown[]) => boolean;
    stream.write = (...given: unknown[]) => {
      if (stream.writableCorked === 0) {
        stream.cork();
        queueMicrotask(() => stream.uncork());
      }
      return write(...given);
    };
  });
  return redis;
}

/** Does the client speak to several servers, each of which knows its own connections only? */
export function isCluster(redis: Redis): boolean {
  const client: unknown = redis;
  return client instanceof Cluster;
}

/**
 * The servers a client talks to, each with keys of its own: what is asked of a server, not of a key, is asked of each.
 * Throws where none of a cluster's can be reached: nothing would look like an answer.
 */
export function mastersOf(redis: Redis): Redis[] {
  const client: unknown = redis;
  if (!(client instanceof Cluster)) return [redis];
  const masters = client.nodes('master');
  if (masters.length === 0) throw new Error('No node of the cluster can be reached');
  return masters;
}
