import { rmSync } from 'node:fs';
import { Advice, NoSpace } from '../host.mjs';
import type { Kept } from './keep-alive.ts';
import type { ProcessRecord } from './processes.ts';
import { unpackDebian, type UnpackedPrograms } from './stores/debian.ts';
import { hasDocker, startDockerStores } from './stores/docker.ts';
import { checkDatabaseUrl, checkRedisUrl } from './stores/environment.ts';
import { findPostgres, findRedis, type PostgresProgram } from './stores/installed.ts';
import { dataVersion, startPostgres } from './stores/postgres.ts';
import { startRedis } from './stores/redis.ts';
import { openStoreHome, type StoreHome } from './stores/store-home.ts';

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
    const programs = needed.postgres || needed.redis ? await findPrograms(needed, home, options.cacheDir, env) : {};
    const docker = programs.docker ? await startDockerStores(programs.docker, home) : undefined;
    if (docker) stops.unshift(() => docker.stop());

    // One after the other: a start that fails leaves nothing it does not know of.
    const postgres = programs.postgres ? await keep(startPostgres(programs.postgres.program, home)) : undefined;
    const redis = programs.redis ? await keep(startRedis(programs.redis.program, 'redis', home)) : undefined;
    const redisCache =
      programs.redis && !env['REDIS_CACHE_URL']
        ? await keep(startRedis(programs.redis.program, 'redis-cache', home))
        : undefined;
    const redisUrl = env['REDIS_URL'] || redis?.url || docker?.redisUrl;
    const databaseUrl = env['DATABASE_URL'] || postgres?.url || docker?.databaseUrl;
    if (!redisUrl || !databaseUrl) throw new Error('a store was neither found nor reported missing');
    return {
      databaseUrl,
      redisUrl,
      redisCacheUrl: env['REDIS_CACHE_URL'] || redisCache?.url || docker?.redisCacheUrl || redisUrl,
      source: {
        postgres: needed.postgres ? (programs.postgres?.source ?? 'docker') : 'environment',
        redis: needed.redis ? (programs.redis?.source ?? 'docker') : 'environment',
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

type Needed = { postgres: boolean; redis: boolean };
type Programs = {
  postgres?: { program: PostgresProgram; source: StoreSource };
  redis?: { program: string; source: StoreSource };
  docker?: Needed;
};

/** Decides for each needed store where its program comes from, in the order documented at `startStores`. */
async function findPrograms(
  needed: Needed,
  home: StoreHome,
  cacheDir: string,
  env: NodeJS.ProcessEnv,
): Promise<Programs> {
  const written = dataVersion(home);
  const fits = ({ major }: PostgresProgram): boolean => written === undefined || written === major;
  const found: Programs = {};
  const tried: string[] = [];

  const installed = needed.postgres ? (await findPostgres(env)).find(fits) : undefined;
  if (installed) found.postgres = { program: installed, source: 'installed' };
  const redis = needed.redis ? await findRedis(env) : undefined;
  if (redis) found.redis = { program: redis, source: 'installed' };
  const missing = (): Needed => ({
    postgres: needed.postgres && !found.postgres,
    redis: needed.redis && !found.redis,
  });
  const isComplete = (): boolean => !missing().postgres && !missing().redis;
  if (isComplete()) return found;

  const unpacked = await attempt('unpacking packages', () =>
    unpackDebian({ cacheDir, log: home.log, signal: home.signal, env }),
  );
  if (unpacked) takeUnpacked(unpacked);
  if (isComplete()) return found;

  if (await hasDocker(home.signal)) return { ...found, docker: missing() };
  tried.push('Docker: no engine answers');
  throw new Advice(
    `${missingNames(missing())} missing. Choose one: set DATABASE_URL and REDIS_URL to servers you have; install PostgreSQL 15 or later with pgvector 0.8 and Redis 6.2 or later; or start a Docker engine. Tried: ${tried.join('; ')}.`,
  );

  function takeUnpacked(programs: UnpackedPrograms): void {
    if (missing().postgres && fits(programs.postgres))
      found.postgres = { program: programs.postgres, source: 'unpacked' };
    if (missing().redis) found.redis = { program: programs.redis, source: 'unpacked' };
  }

  async function attempt<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Advice) || error instanceof NoSpace) throw error;
      tried.push(`${what}: ${error.message}`);
      return undefined;
    }
  }
}

function missingNames({ postgres, redis }: Needed): string {
  if (postgres && redis) return 'PostgreSQL with pgvector and Redis are';
  return postgres ? 'PostgreSQL with pgvector is' : 'Redis is';
}
