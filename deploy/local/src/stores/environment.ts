import { Redis } from 'ioredis';
import postgres from 'postgres';
import { Advice } from '../../host.mjs';
import { isAtLeast, oldestPostgres } from './installed.ts';

/**
 * Checks the Postgres that `DATABASE_URL` names: reachable, new enough, pgvector there or installable.
 * Throws one line that names the variable and never shows the password.
 */
export async function checkDatabaseUrl(value: string): Promise<void> {
  const where = describe('DATABASE_URL', value, ['postgres:', 'postgresql:']);
  const sql = postgres(value, { max: 1, connect_timeout: 8, onnotice: () => undefined });
  try {
    const [server] = await sql<{ version: number; vector: string | null }[]>`
      SELECT current_setting('server_version_num')::int / 10000 AS version,
             (SELECT default_version FROM pg_available_extensions WHERE name = 'vector') AS vector`;
    if (!server || server.version < oldestPostgres) {
      throw new Advice(`${where} is PostgreSQL ${server?.version}; version ${oldestPostgres} or later is needed.`);
    }
    if (!server.vector)
      throw new Advice(
        `${where} has no pgvector: install it on that server (package postgresql-${server.version}-pgvector).`,
      );
    if (!isAtLeast(server.vector, [0, 8]))
      throw new Advice(`${where} has pgvector ${server.vector}; version 0.8 or later is needed.`);
  } catch (error) {
    throw error instanceof Advice ? error : new Advice(`${where} cannot be used: ${problem(error)}.`);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** The same for a Redis named by `REDIS_URL` or `REDIS_CACHE_URL`. */
export async function checkRedisUrl(name: string, value: string): Promise<void> {
  const where = describe(name, value, ['redis:', 'rediss:']);
  const redis = new Redis(value, {
    lazyConnect: true,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    connectTimeout: 8000,
  });
  // ioredis keeps the cause for its event; the promise only says that the connection is closed.
  let cause: unknown;
  redis.on('error', (error) => (cause = error));
  try {
    await redis.connect();
    const version = /redis_version:([\d.]+)/.exec(await redis.info('server'))?.[1];
    if (!isAtLeast(version, [6, 2])) throw new Advice(`${where} is Redis ${version}; version 6.2 or later is needed.`);
  } catch (error) {
    throw error instanceof Advice ? error : new Advice(`${where} cannot be used: ${problem(cause ?? error)}.`);
  } finally {
    redis.disconnect();
  }
}

function describe(name: string, value: string, protocols: readonly string[]): string {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (!url || !protocols.includes(url.protocol)) throw new Advice(`${name} is not a ${protocols[0]}// address.`);
  const user = url.username === '' ? '' : ` as ${decodeURIComponent(url.username)}`;
  return `${name} (${url.host}${url.pathname === '/' ? '' : url.pathname}${user})`;
}

function problem(error: unknown): string {
  const { code, message, errors } = error as {
    code?: string;
    message: string;
    errors?: { message: string }[];
  };
  if (code === 'CONNECT_TIMEOUT') return 'no answer in 8 seconds';
  return message || errors?.[0]?.message || code || 'no reason given';
}
