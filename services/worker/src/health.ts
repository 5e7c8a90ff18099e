import { timedCheck, type Check } from '@flowstate/runtime';
import type { Sql } from '@flowstate/store';
import type { Redis } from 'ioredis';

/** A worker that has not been confirmed alive for this long should get no traffic. */
const silentLimitMs = 5_000;

/** Postgres, Redis and the heartbeat, each with its state and latency. */
export function workerChecks({ sql, redis, silentMs }: { sql: Sql; redis: Redis; silentMs: () => number }) {
  return Promise.all([
    timedCheck('postgres', () => sql`SELECT 1`),
    timedCheck('redis', () => redis.ping()),
    Promise.resolve<Check>({ name: 'heartbeat', ok: silentMs() < silentLimitMs, latencyMs: Math.round(silentMs()) }),
  ]);
}
