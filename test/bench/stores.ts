import { realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startStores, type Stores } from '@flowstate/local';
import { createSql, type Sql } from '@flowstate/store';
import { Redis } from 'ioredis';
import type { Surroundings } from './bench.ts';

export type BenchStores = Pick<Stores, 'databaseUrl' | 'redisUrl' | 'redisCacheUrl'> & {
  /** On the server's own database, for what concerns the whole server. */
  admin: Sql;
  redis: Redis;
  /** Undefined for a server we did not start: its CPU time is then not known. */
  postgresPid: () => number | undefined;
  /** Statements are counted in `pg_stat_statements`. */
  countsStatements: boolean;
};

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Stores as `npm start` has them, on the clone's disk: with fsync and AOF, unlike those of the tests, whose folder is
 * temporary and may be memory. Their data goes at the end.
 */
export async function startBenchStores(
  { cleanup, signal, log }: Surroundings,
  { statements = false }: { statements?: boolean } = {},
): Promise<BenchStores> {
  const dataDir = join(root, '.flowstate', 'bench');
  clear(dataDir);
  const stores = await startStores({
    dataDir,
    cacheDir: process.env['FLOWSTATE_CACHE'] ?? join(root, '.flowstate', 'cache'),
    signal,
    log,
  });
  cleanup.teardown(async () => {
    await stores.stop();
    clear(dataDir);
  });
  const admin = createSql(stores.databaseUrl, { name: 'flowstate-bench', max: 2 });
  cleanup.teardown(() => admin.end());
  const redis = new Redis(stores.redisUrl);
  cleanup.teardown(() => redis.quit());
  const { postgres } = stores;
  // A rewrite in the middle of a measurement would hide what was written: `freshAof` does it between two.
  if (stores.redis) await redis.config('SET', 'auto-aof-rewrite-percentage', '0');
  const countsStatements = statements && (await countStatements(admin, stores, log));
  const { databaseUrl, redisUrl, redisCacheUrl } = stores;
  const postgresPid = () => postgres?.pid();
  return { databaseUrl, redisUrl, redisCacheUrl, admin, redis, postgresPid, countsStatements };
}

/** Every measurement begins with what came before written out. */
export async function settleStores({ admin, redis }: BenchStores): Promise<void> {
  await admin`CHECKPOINT`;
  const underWay = () => redis.info('persistence').then((info) => /aof_rewrite_in_progress:1/.test(info));
  if (!/aof_enabled:1/.test(await redis.info('persistence'))) return;
  await redis.bgrewriteaof();
  while (await underWay()) await new Promise((wake) => setTimeout(wake, 100));
}

async function countStatements(admin: Sql, stores: Stores, log: (line: string) => void): Promise<boolean> {
  const [there] = await admin`SELECT 1 FROM pg_available_extensions WHERE name = 'pg_stat_statements'`;
  if (there === undefined || stores.postgres === undefined) {
    log('statements are not counted: that takes a Postgres of our own with pg_stat_statements');
    return false;
  }
  await admin`ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'`;
  await admin`ALTER SYSTEM SET pg_stat_statements.track_planning = on`;
  await stores.postgres.down();
  await stores.postgres.up();
  await admin`CREATE EXTENSION IF NOT EXISTS pg_stat_statements`;
  return true;
}

/** As root the data lies elsewhere, behind a link (Postgres runs as another user). */
function clear(dataDir: string): void {
  const link = join(dataDir, 'stores');
  try {
    rmSync(realpathSync(link), { recursive: true, force: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  rmSync(dataDir, { recursive: true, force: true });
}
