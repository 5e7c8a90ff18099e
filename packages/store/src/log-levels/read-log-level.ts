import type { LogLevel, ServiceName } from '@flowstate/contracts';
import type { Db } from '../client.ts';

/** What an administrator wants a service to log now, and for how long by the time of Postgres; null: nothing was said. */
export async function readLogLevel(
  db: Db,
  service: ServiceName,
): Promise<{ level: LogLevel; remainingMs: number | null } | null> {
  const [row] = await db<{ level: LogLevel; remainingMs: number | null }[]>`
    SELECT level, extract(epoch FROM until - now())::float8 * 1000 AS "remainingMs" FROM log_levels
    WHERE service = ${service} AND (until IS NULL OR until > now())`;
  return row ?? null;
}
