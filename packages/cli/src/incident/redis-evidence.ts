import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { openRedis, serversOf } from '@flowstate/security';
import type { Redis } from 'ioredis';
import { setting } from '../connection.ts';
import type { Capture } from './evidence.ts';

const instances = { redis: 'REDIS_URL', 'redis-cache': 'REDIS_CACHE_URL' } as const;
const logBytes = 1024 * 1024;

/** `redis/`: what both instances know about who did what: refused commands, slow ones, clients, state, their own log. */
export async function captureRedis(capture: Capture): Promise<void> {
  for (const [name, variable] of Object.entries(instances)) {
    const url = await setting(capture.terminal, variable);
    if (url === undefined) capture.miss(`${name} evidence`, `${variable} is not set here`);
    else await captureInstance(capture, name, url);
  }
}

async function captureInstance(capture: Capture, name: string, url: string): Promise<void> {
  let redis: Redis;
  try {
    redis = await openRedis([url]);
  } catch (error) {
    const { message, code } = error as Error & { code?: string };
    return capture.miss(`${name} evidence`, `it cannot be reached (${message || code})`);
  }
  try {
    const servers = serversOf(redis, 'all');
    // Of a cluster each node knows what happened on it.
    const named = (n: number) => (servers.length === 1 ? name : `${name}-node-${n + 1}`);
    for (const [n, server] of servers.entries()) await captureServer(capture, named(n), server);
  } finally {
    redis.disconnect();
  }
}

async function captureServer({ folder, miss }: Capture, name: string, redis: Redis): Promise<void> {
  const take = async (file: string, work: () => Promise<string>) => {
    try {
      await folder.write(`redis/${name}-${file}`, await work());
    } catch (error) {
      miss(`${name} ${file}`, (error as Error).message);
    }
  };
  await take('info.txt', () => redis.info());
  await take('acl-log.json', async () => json(await redis.call('ACL', 'LOG', '128')));
  await take('slowlog.json', async () => json(((await redis.call('SLOWLOG', 'GET', '128')) as SlowEntry[]).map(brief)));
  await take('clients.txt', async () => String(await redis.call('CLIENT', 'LIST')));
  await take('server.log', () => serverLog(redis));
}

type SlowEntry = [id: number, at: number, microseconds: number, args: string[], client: string, clientName: string];

/** A command's name and first argument tell enough; the others are data, some of them secret. */
function brief([id, at, microseconds, args, client, clientName]: SlowEntry): Record<string, unknown> {
  const command = [...args.slice(0, 2), ...(args.length > 2 ? [`(${args.length - 2} more)`] : [])];
  return { id, at: new Date(at * 1_000).toISOString(), microseconds, command, client, clientName };
}

async function serverLog(redis: Redis): Promise<string> {
  const [, file = ''] = (await redis.call('CONFIG', 'GET', 'logfile')) as string[];
  if (file === '') throw new Error('it logs to its stdout: look where that goes (journal, container log)');
  const [, dir = ''] = (await redis.call('CONFIG', 'GET', 'dir')) as string[];
  const handle = await open(file.startsWith('/') ? file : join(dir, file));
  try {
    const { size } = await handle.stat();
    const start = Math.max(0, size - logBytes);
    const { buffer, bytesRead } = await handle.read({
      buffer: Buffer.alloc(Math.min(size, logBytes)),
      position: start,
    });
    return buffer.subarray(0, bytesRead).toString();
  } finally {
    await handle.close();
  }
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
