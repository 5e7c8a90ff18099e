import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Test } from 'tap';
import { holdPort } from './held-port.ts';

export type RedisNode = {
  port: number;
  /** The port at which nodes talk to each other. */
  bus: number;
  /** Its process, while it runs. */
  pid(): number | undefined;
  /** Starts it, at the same ports each time; it remembers the cluster, not its keys. */
  start(): Promise<void>;
  kill(): Promise<void>;
};

/** One node of a Redis Cluster; `settings` as in Redis' configuration. */
export async function startRedisNode(
  t: Pick<Test, 'teardown'>,
  program: string,
  settings: Record<string, string>,
): Promise<RedisNode> {
  const node = await createRedisNode(t, program, settings);
  await node.start();
  return node;
}

async function createRedisNode(
  t: Pick<Test, 'teardown'>,
  program: string,
  settings: Record<string, string>,
): Promise<RedisNode> {
  const dir = await mkdtemp(join(tmpdir(), 'flowstate-redis-node-'));
  const [port, bus] = [await holdPort(), await holdPort()];
  const all = {
    port: String(port),
    'cluster-port': String(bus),
    bind: '127.0.0.1',
    dir,
    save: '',
    'cluster-enabled': 'yes',
    ...settings,
  };
  // A file, so that Redis can write down what is changed while it runs.
  const config = join(dir, 'redis.conf');
  await writeFile(
    config,
    Object.entries(all)
      .map(([name, value]) => `${name} "${value}"\n`)
      .join(''),
  );
  let child: ChildProcess | undefined;
  let ended: Promise<unknown> | undefined;

  async function kill(): Promise<void> {
    child?.kill('SIGKILL');
    await ended;
    child = undefined;
  }
  t.teardown(async () => {
    await kill();
    await rm(dir, { recursive: true, force: true });
  });
  return {
    port,
    bus,
    pid: () => child?.pid,
    async start() {
      const started = spawn(program, [config], { stdio: ['ignore', 'pipe', 'ignore'] });
      child = started;
      ended = once(started, 'exit');
      const said: string[] = [];
      for await (const line of createInterface(started.stdout)) {
        said.push(line);
        if (!line.includes('Ready to accept connections')) continue;
        started.stdout.resume();
        return;
      }
      throw new Error(`a Redis node ended before it was ready:\n${said.slice(-5).join('\n')}`);
    },
    kill,
  };
}
