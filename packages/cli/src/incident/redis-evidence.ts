import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
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

async function captureInstance({ folder, miss }: Capture, name: string, url: string): Promise<void> {
  let redis: Redis;
  let problem = '';
  try {
    redis = new Redis(url, {
      lazyConnect: true,
      connectTimeout: 3_000,
      commandTimeout: 10_000,
      maxRetriesPerRequest: 0,
      retryStrategy: () => null,
    });
    redis.on('error', (error: Error & { code?: string }) => (problem = error.message || (error.code ?? '')));
    await redis.connect();
  } catch (error) {
    return miss(`${name} evidence`, `it cannot be reached (${problem || (error as Error).message})`);
  }
  const take = async (file: string, work: () => Promise<string>) => {
    try {
      await folder.write(`redis/${name}-${file}`, await work());
    } catch (error) {
      miss(`${name} ${file}`, (error as Error).message);
    }
  };
  try {
    await take('info.txt', () => redis.info());
    await take('acl-log.json', async () => json(await redis.call('ACL', 'LOG', '128')));
    await take('slowlog.json', async () =>
      json(((await redis.call('SLOWLOG', 'GET', '128')) as SlowEntry[]).map(brief)),
    );
    await take('clients.txt', async () => String(await redis.call('CLIENT', 'LIST')));
    await take('server.log', () => serverLog(redis));
  } finally {
    redis.disconnect();
  }
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
