import type { Customer, CustomerInput } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { keysOf } from './any-id.ts';
import { outcomeOf, toBatch, type UpsertOutcome, type WrittenRow } from './batch.ts';

/**
 * Stores customers by external id, which must differ within `rows`; what a row does not say becomes null. Answers in
 * the order of `rows`.
 */
export async function upsertCustomers(db: Db, rows: readonly CustomerInput[]): Promise<UpsertOutcome[]> {
  // In key order: two imports of the same file never wait for each other crosswise.
  const written = await db<WrittenRow[]>`
    WITH input AS MATERIALIZED (
      SELECT * FROM json_to_recordset(${toBatch(rows)}::text::json) AS r(
        n int, id uuid, "externalId" text, name text, industry text, segment text, country text, employees int,
        "annualRevenue" numeric, owner text, since date)
    ), written AS (
      INSERT INTO customers AS c (id, external_id, name, industry, segment, country, employees, annual_revenue, owner, since)
      SELECT id, "externalId", name, industry, segment, country, employees, "annualRevenue", owner, since
      FROM input ORDER BY "externalId"
      ON CONFLICT (external_id) DO UPDATE SET
        name = excluded.name, industry = excluded.industry, segment = excluded.segment, country = excluded.country,
        employees = excluded.employees, annual_revenue = excluded.annual_revenue, owner = excluded.owner,
        since = excluded.since, updated_at = now()
      WHERE (c.name, c.industry, c.segment, c.country, c.employees, c.annual_revenue, c.owner, c.since)
        IS DISTINCT FROM (excluded.name, excluded.industry, excluded.segment, excluded.country, excluded.employees,
                          excluded.annual_revenue, excluded.owner, excluded.since)
      RETURNING id, external_id
    )
    SELECT i.id, w.id AS "writtenId", true AS known
    FROM input i LEFT JOIN written w ON w.external_id = i."externalId" ORDER BY i.n`;
  return written.map(outcomeOf);
}

/** Our id of a customer named by our id or its external id; null when there is none. */
export async function findCustomerId(db: Db, anyId: string): Promise<string | null> {
  const { id, externalId } = keysOf(anyId);
  const [row] = await db<{ id: string }[]>`
    SELECT id FROM customers WHERE id = ${id} OR external_id = ${externalId} ORDER BY id = ${id} DESC NULLS LAST LIMIT 1`;
  return row?.id ?? null;
}

/** One customer by our id or its external id; null when there is none. */
export async function findCustomer(db: Db, anyId: string): Promise<Customer | null> {
  const { id, externalId } = keysOf(anyId);
  const [row] = await db<Customer[]>`
    SELECT ${columns(db)} FROM customers WHERE id = ${id} OR external_id = ${externalId}
    ORDER BY id = ${id} DESC NULLS LAST LIMIT 1`;
  return row ?? null;
}

/** Newest first; `before` is the id of the last one seen. */
export async function listCustomers(
  db: Db,
  { before, limit }: { before?: string | undefined; limit: number },
): Promise<Customer[]> {
  return await db<Customer[]>`
    SELECT ${columns(db)} FROM customers ${before === undefined ? db`` : db`WHERE id < ${before}`}
    ORDER BY id DESC LIMIT ${limit}`;
}

function columns(db: Db) {
  return db`id, external_id AS "externalId", name, industry, segment, country, employees,
            annual_revenue AS "annualRevenue", owner, since::text AS since`;
}
