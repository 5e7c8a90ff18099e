import type { BenchStores } from '../stores.ts';
import type { RunningProduct } from '../contenders/product.ts';

/** Bytes that runs take, in tables with their indexes and in Redis without its own buffers. */
export type Footprint = { tableBytes: number; redisBytes: number };

export async function readFootprint(stores: BenchStores, { database }: RunningProduct): Promise<Footprint> {
  const [row] = await database.sql<{ bytes: number }[]>`
    SELECT sum(pg_total_relation_size(oid)) AS bytes FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`;
  const dataset = /^used_memory_dataset:(\d+)/m.exec(await stores.redis.info('memory'))?.[1];
  return { tableBytes: row?.bytes ?? Number.NaN, redisBytes: Number(dataset) };
}

/** Postgres connections of one database by service. */
export async function readConnections({ database }: RunningProduct): Promise<Record<string, number>> {
  const rows = await database.sql<{ service: string; connections: number }[]>`
    SELECT CASE WHEN application_name LIKE 'flowstate-worker%' THEN 'worker'
                WHEN application_name LIKE 'flowstate-gateway%' THEN 'gateway'
                WHEN application_name IN ('flowstate-controller', 'flowstate-retention', 'flowstate-leader') THEN 'controller'
                ELSE 'other' END AS service, count(*)::int AS connections
    FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() GROUP BY 1`;
  return Object.fromEntries(rows.map(({ service, connections }) => [service, connections]));
}
