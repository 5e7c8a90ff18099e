import type { LogLevel, ServiceName } from '@flowstate/contracts';
import type { Db } from '../client.ts';

export type StoredLogLevel = {
  service: ServiceName;
  level: LogLevel;
  until: Date | null;
  reason: string;
  updatedAt: Date;
  updatedBy: string | null;
};

/** Levels that were set and still hold. */
export async function listLogLevels(db: Db): Promise<StoredLogLevel[]> {
  return db<StoredLogLevel[]>`
    SELECT l.service, l.level, l.until, l.reason, l.updated_at AS "updatedAt", u.email AS "updatedBy"
    FROM log_levels l LEFT JOIN users u ON u.id = l.updated_by
    WHERE l.until IS NULL OR l.until > now() ORDER BY l.service`;
}

/** Sets the level of some services; `seconds` null: until it is taken back. */
export async function putLogLevels(
  db: Db,
  wanted: {
    services: readonly ServiceName[];
    level: LogLevel;
    seconds: number | null;
    reason: string;
    updatedBy: string;
  },
): Promise<void> {
  const { services, level, seconds, reason, updatedBy } = wanted;
  await db`
    INSERT INTO log_levels (service, level, until, reason, updated_by)
    SELECT service, ${level}, now() + ${seconds}::float8 * interval '1 second', ${reason}, ${updatedBy}
    FROM unnest(${[...services]}::text[]) AS t(service)
    ON CONFLICT (service) DO UPDATE
      SET level = excluded.level, until = excluded.until, reason = excluded.reason, updated_by = excluded.updated_by,
          updated_at = now()`;
}

/** Back to what each process was started with; returns the services that had another level. */
export async function deleteLogLevels(db: Db, services: readonly ServiceName[]): Promise<ServiceName[]> {
  const rows = await db<{ service: ServiceName }[]>`
    DELETE FROM log_levels WHERE service = ANY(${[...services]}::text[]) RETURNING service`;
  return rows.map(({ service }) => service).toSorted();
}
