import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { findRedisProgram } from '@flowstate/local';
import { Redis } from 'ioredis';
import type { Test } from 'tap';
import { requiredEnv } from './environment.ts';

const slots = 16_384;

export type RedisCluster = {
  /** `redis+cluster://…` with every node named. */
  url: string;
  /** Keys on each node. */
  keys(): Promise<number[]>;
};

/** A Redis Cluster of its own of so many masters; the reason where there is no Redis to start. */
export async function startRedisCluster(t: Pick<Test, 'teardown'>, size = 3): Promise<RedisCluster | string> {
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
  const addresses = await Promise.all(Array.from({ length: size }, () => startNode(t, program)));
  const nodes = addresses.map(({ port }) => new Redis({ port, host: '127.0.0.1' }));
  t.teardown(() => nodes.forEach((node) => node.disconnect()));
  const share = Math.ceil(slots / size);
  for (const [n, node] of nodes.entries()) {
    await node.call('CLUSTER', 'ADDSLOTSRANGE', n * share, Math.min(slots, (n + 1) * share) - 1);
    // Each must have an epoch of its own before they meet.
    await node.call('CLUSTER', 'SET-CONFIG-EPOCH', n + 1);
  }
  for (const { port, bus } of addresses.slice(1)) await nodes[0]?.call('CLUSTER', 'MEET', '127.0.0.1', port, bus);
  for (const node of nodes) {
    while (!/cluster_state:ok[^]*cluster_known_nodes:3/.test(String(await node.call('CLUSTER', 'INFO'))))
      await wait(50);
  }
  const [first, ...others] = addresses.map(({ port }) => port);
  return {
    url: `redis+cluster://127.0.0.1:${first}?nodes=${others.map((port) => `127.0.0.1:${port}`).join()}`,
    keys: () => Promise.all(nodes.map((node) => node.dbsize())),
  };
}

async function startNode(t: Pick<Test, 'teardown'>, program: string): Promise<{ port: number; bus: number }> {
  const dir = await mkdtemp(join(tmpdir(), 'flowstate-redis-node-'));
  const [port, bus] = [await freePort(), await freePort()];
  const options = ['--port', port, '--cluster-port', bus, '--bind', '127.0.0.1', '--dir', dir, '--save', ''];
  const child = spawn(program, [...options.map(String), '--cluster-enabled', 'yes'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const ended = once(child, 'exit');
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
    await rm(dir, { recursive: true, force: true });
  });
  const said: string[] = [];
  for await (const line of createInterface(child.stdout)) {
    said.push(line);
    if (!line.includes('Ready to accept connections')) continue;
    child.stdout.resume();
    return { port, bus };
  }
  throw new Error(`a Redis node ended before it was ready:\n${said.slice(-5).join('\n')}`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
