import type { Integration, IntegrationInput } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { keysOf } from './any-id.ts';
import { outcomeOf, toBatch, type UpsertOutcome, type WrittenRow } from './batch.ts';

/**
 * Stores integrations by external id, which must differ within `rows`; what a row does not say becomes null, missing
 * errors 0 and missing incidents none. Answers in the order of `rows`; a row whose customer is not there is not stored.
 */
export async function upsertIntegrations(db: Db, rows: readonly IntegrationInput[]): Promise<UpsertOutcome[]> {
  const written = await db<WrittenRow[]>`
    WITH input AS MATERIALIZED (
      SELECT r.*, c.id AS customer_id FROM json_to_recordset(${toBatch(rows)}::text::json) AS r(
        n int, id uuid, "externalId" text, customer text, ours uuid, name text, kind text, status text,
        "latencyMs" float8, "lastSyncAt" timestamptz, "syncIntervalMinutes" float8, "errorCount24h" int, incidents jsonb)
      LEFT JOIN LATERAL (
        SELECT id FROM customers WHERE id = r.ours OR external_id = r.customer ORDER BY id = r.ours DESC NULLS LAST LIMIT 1
      ) c ON true
    ), written AS (
      INSERT INTO integrations AS i (id, external_id, customer_id, name, kind, status, latency_ms, last_sync_at,
                                     sync_interval_minutes, error_count_24h, incidents)
      SELECT id, "externalId", customer_id, name, kind, status, "latencyMs", "lastSyncAt", "syncIntervalMinutes",
             coalesce("errorCount24h", 0), coalesce(incidents, '[]')
      FROM input WHERE customer_id IS NOT NULL ORDER BY "externalId"
      ON CONFLICT (external_id) DO UPDATE SET
        customer_id = excluded.customer_id, name = excluded.name, kind = excluded.kind, status = excluded.status,
        latency_ms = excluded.latency_ms, last_sync_at = excluded.last_sync_at,
        sync_interval_minutes = excluded.sync_interval_minutes, error_count_24h = excluded.error_count_24h,
        incidents = excluded.incidents, updated_at = now()
      WHERE (i.customer_id, i.name, i.kind, i.status, i.latency_ms, i.last_sync_at, i.sync_interval_minutes,
             i.error_count_24h, i.incidents)
        IS DISTINCT FROM (excluded.customer_id, excluded.name, excluded.kind, excluded.status, excluded.latency_ms,
                          excluded.last_sync_at, excluded.sync_interval_minutes, excluded.error_count_24h,
                          excluded.incidents)
      RETURNING id, external_id
    )
    SELECT i.id, w.id AS "writtenId", i.customer_id IS NOT NULL AS known
    FROM input i LEFT JOIN written w ON w.external_id = i."externalId" ORDER BY i.n`;
  return written.map(outcomeOf);
}

/** One integration by our id or its external id; null when there is none. */
export async function findIntegration(db: Db, anyId: string): Promise<Integration | null> {
  const { id, externalId } = keysOf(anyId);
  const [row] = await db<Row[]>`
    ${integrations(db)} WHERE i.id = ${id} OR i.external_id = ${externalId} ORDER BY i.id = ${id} DESC NULLS LAST LIMIT 1`;
  return row === undefined ? null : toIntegration(row);
}

/** Newest first; `before` is the id of the last one seen. */
export async function listIntegrations(
  db: Db,
  { customerId, before, limit }: { customerId?: string | undefined; before?: string | undefined; limit: number },
): Promise<Integration[]> {
  const rows = await db<Row[]>`
    ${integrations(db)} WHERE true
      ${customerId === undefined ? db`` : db`AND i.customer_id = ${customerId}`}
      ${before === undefined ? db`` : db`AND i.id < ${before}`}
    ORDER BY i.id DESC LIMIT ${limit}`;
  return rows.map(toIntegration);
}

type Row = Omit<Integration, 'lastSyncAt'> & { lastSyncAt: Date | null };

function integrations(db: Db) {
  return db`
    SELECT i.id, i.external_id AS "externalId", c.external_id AS customer, i.name, kind, status,
           latency_ms AS "latencyMs", last_sync_at AS "lastSyncAt", sync_interval_minutes AS "syncIntervalMinutes",
           error_count_24h AS "errorCount24h", incidents
    FROM integrations i JOIN customers c ON c.id = i.customer_id`;
}

function toIntegration(row: Row): Integration {
  return { ...row, lastSyncAt: row.lastSyncAt?.toISOString() ?? null };
}
