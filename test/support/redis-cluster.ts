import { randomBytes } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { findRedisProgram } from '@flowstate/local';
import { Redis } from 'ioredis';
import type { Test } from 'tap';
import { requiredEnv } from './environment.ts';
import { startRedisNode, type RedisNode } from './redis-node.ts';

const slots = 16_384;

export type RedisCluster = {
  /** `redis+cluster://…` with every node named. */
  url: string;
  /** The first `masters` of them were made masters, those behind them one replica of each in turn. */
  nodes: RedisNode[];
  /** Keys on each node. */
  keys(): Promise<number[]>;
  /** The node that serves this key now, as the others have it. */
  masterOf(key: string): Promise<RedisNode | undefined>;
  /** Kills all nodes; what they held is gone. */
  down(): Promise<void>;
  /** Starts them again, at the same addresses. */
  up(): Promise<void>;
};

/** As `npm start` has its servers. */
export const clusterSettings = {
  queues: { 'maxmemory-policy': 'noeviction' },
  cache: { maxmemory: '256mb', 'maxmemory-policy': 'allkeys-lru' },
};

type Options = { masters?: number; replicas?: number; settings?: Record<string, string> };

/** A Redis Cluster of its own; the reason where there is no Redis to start. */
export async function startRedisCluster(
  t: Pick<Test, 'teardown'>,
  { masters = 3, replicas = 0, settings = {} }: Options = {},
): Promise<RedisCluster | string> {
  let program: string;
  try {
    const { signal } = new AbortController();
    const { PATH } = process.env;
    program = await findRedisProgram({
      cacheDir: requiredEnv('FLOWSTATE_CACHE'),
      log: () => {},
      signal,
      env: { PATH },
    });
  } catch (error) {
    return `no Redis to start here: ${(error as Error).message}`;
  }
  // As those of `npm start` have one.
  const password = randomBytes(24).toString('base64url');
  const all = { requirepass: password, masterauth: password, ...settings };
  const nodes = await Promise.all(Array.from({ length: masters + replicas }, () => startRedisNode(t, program, all)));
  const clients = nodes.map(({ port }) => new Redis({ port, host: '127.0.0.1', password, retryStrategy: () => 100 }));
  for (const client of clients) client.on('error', () => {}); // nodes are killed
  t.teardown(() => clients.forEach((client) => client.disconnect()));
  const share = Math.ceil(slots / masters);
  for (const [n, client] of clients.entries()) {
    if (n < masters) await client.call('CLUSTER', 'ADDSLOTSRANGE', n * share, Math.min(slots, (n + 1) * share) - 1);
    // Each must have an epoch of its own before they meet.
    await client.call('CLUSTER', 'SET-CONFIG-EPOCH', n + 1);
  }
  // Everybody everybody: gossip would take seconds.
  for (const [n, client] of clients.entries()) {
    for (const { port, bus } of nodes.slice(n + 1)) await client.call('CLUSTER', 'MEET', '127.0.0.1', port, bus);
  }
  /** Until each node sees all others, and all slots served, and can pass on what is published. */
  async function agree(): Promise<void> {
    for (const client of clients) {
      while (!isWhole(String(await client.call('CLUSTER', 'INFO')), nodes.length)) await wait(20);
      while (String(await client.call('CLUSTER', 'NODES')).includes(' disconnected')) await wait(20);
    }
  }
  await agree();
  for (const [n, client] of clients.slice(masters).entries()) {
    const id = String(await clients[n % masters]?.call('CLUSTER', 'MYID'));
    await client.call('CLUSTER', 'REPLICATE', id);
    while (!(await client.info('replication')).includes('master_link_status:up')) await wait(20);
  }

  const [first, ...others] = nodes.map(({ port }) => port);
  return {
    url: `redis+cluster://:${password}@127.0.0.1:${first}?nodes=${others.map((port) => `127.0.0.1:${port}`).join()}`,
    nodes,
    keys: () => Promise.all(clients.map((client) => client.dbsize())),
    async masterOf(key) {
      const asked = clients.find(({ status }) => status === 'ready');
      const slot = Number(await asked?.call('CLUSTER', 'KEYSLOT', key));
      const ranges = (await asked?.call('CLUSTER', 'SLOTS')) as [number, number, [string, number]][];
      const [, , [, port] = []] = ranges.find(([from, to]) => from <= slot && slot <= to) ?? [];
      return nodes.find((node) => node.port === port);
    },
    async down() {
      await Promise.all(nodes.map((node) => node.kill()));
    },
    async up() {
      await Promise.all(nodes.map((node) => node.start()));
      await agree();
    },
  };
}

function isWhole(info: string, nodes: number): boolean {
  return info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${nodes}\r`);
}
