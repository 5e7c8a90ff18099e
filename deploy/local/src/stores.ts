import { rmSync } from 'node:fs';
import type { Kept } from './keep-alive.ts';
import type { ProcessRecord } from './processes.ts';
import { checkDatabaseUrl, checkRedisUrl } from './stores/environment.ts';
import { findSources } from './stores/find-sources.ts';
import { startPostgres } from './stores/postgres.ts';
import { startRedis } from './stores/redis.ts';
import { openStoreHome } from './stores/store-home.ts';

export type StoreSource = 'environment' | 'installed' | 'unpacked' | 'docker';

/** Takes a store away and brings it back, with its data, at the same address. */
export type Outage = Pick<Kept, 'down' | 'up' | 'pid'>;

export type Stores = {
  databaseUrl: string;
  redisUrl: string;
  redisCacheUrl: string;
  source: { postgres: StoreSource; redis: StoreSource };
  /** Only of stores we started as processes. */
  postgres?: Outage;
  redis?: Outage;
  redisCache?: Outage;
  /** Stops what was started; with `ephemeral`, its data is deleted. */
  stop(): Promise<void>;
};

export type StoreOptions = {
  /** Folder that keeps the data, the clone's `.flowstate`. */
  dataDir: string;
  /** Folder for downloads, shared by clones. */
  cacheDir: string;
  log: (line: string) => void;
  signal?: AbortSignal;
  /** Data in a temporary folder that goes with `stop()`. */
  ephemeral?: boolean;
  env?: NodeJS.ProcessEnv;
  /** Where started processes are noted; by default a file beside the data. */
  record?: ProcessRecord;
};

type Started = { url: string; kept: Kept };

/**
 * Brings up PostgreSQL with pgvector and two Redis instances: by `DATABASE_URL`, `REDIS_URL` and `REDIS_CACHE_URL`,
 * else installed programs, else programs unpacked into the cache, else Docker; each store may come from another source.
 * Data that is there already stays with its source.
 * When it throws (`Advice` for what the user can change) or `signal` aborts it, nothing is left running.
 */
export async function startStores(options: StoreOptions): Promise<Stores> {
  const { log, signal = new AbortController().signal, ephemeral = false, env = process.env } = options;
  const home = await openStoreHome({
    dataDir: options.dataDir,
    record: options.record,
    log,
    signal,
    ephemeral,
  });
  const stops: (() => Promise<void>)[] = [];
  const keep = async (starting: Promise<Started>): Promise<Started> => {
    const started = await starting;
    stops.unshift(() => started.kept.down());
    return started;
  };

  async function stop(): Promise<void> {
    for (const each of stops.splice(0)) await each();
    if (!options.record) home.record.clear();
    if (ephemeral) rmSync(home.dir, { recursive: true, force: true });
  }

  try {
    if (env['DATABASE_URL']) await checkDatabaseUrl(env['DATABASE_URL']);
    if (env['REDIS_URL']) await checkRedisUrl('REDIS_URL', env['REDIS_URL']);
    if (env['REDIS_CACHE_URL']) await checkRedisUrl('REDIS_CACHE_URL', env['REDIS_CACHE_URL']);
    const needed = { postgres: !env['DATABASE_URL'], redis: !env['REDIS_URL'] };
    const sources = needed.postgres || needed.redis ? await findSources(needed, home, options.cacheDir, env) : {};
    const { docker } = sources;
    if (docker) stops.unshift(() => docker.stop());

    // One after the other: a start that fails leaves nothing it does not know of.
    const postgres = sources.postgres ? await keep(startPostgres(sources.postgres.program, home)) : undefined;
    const redis = sources.redis ? await keep(startRedis(sources.redis.program, 'redis', home)) : undefined;
    const redisCache =
      sources.redis && !env['REDIS_CACHE_URL']
        ? await keep(startRedis(sources.redis.program, 'redis-cache', home))
        : undefined;
    const redisUrl = env['REDIS_URL'] || redis?.url || docker?.redisUrl;
    const databaseUrl = env['DATABASE_URL'] || postgres?.url || docker?.databaseUrl;
    if (!redisUrl || !databaseUrl) throw new Error('a store was neither found nor reported missing');
    return {
      databaseUrl,
      redisUrl,
      redisCacheUrl: env['REDIS_CACHE_URL'] || redisCache?.url || docker?.redisCacheUrl || redisUrl,
      source: {
        postgres: needed.postgres ? (sources.postgres?.source ?? 'docker') : 'environment',
        redis: needed.redis ? (sources.redis?.source ?? 'docker') : 'environment',
      },
      ...(postgres && { postgres: postgres.kept }),
      ...(redis && { redis: redis.kept }),
      ...(redisCache && { redisCache: redisCache.kept }),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
