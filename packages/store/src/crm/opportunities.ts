import type { Opportunity, OpportunityInput } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { keysOf } from './any-id.ts';
import { outcomeOf, toBatch, type UpsertOutcome, type WrittenRow } from './batch.ts';

/**
 * Stores opportunities by external id, which must differ within `rows`; what a row does not say becomes null, a
 * missing history empty. Answers in the order of `rows`; a row whose customer is not there is not stored.
 */
export async function upsertOpportunities(db: Db, rows: readonly OpportunityInput[]): Promise<UpsertOutcome[]> {
  const written = await db<WrittenRow[]>`
    WITH input AS MATERIALIZED (
      SELECT r.*, c.id AS customer_id FROM json_to_recordset(${toBatch(rows)}::text::json) AS r(
        n int, id uuid, "externalId" text, customer text, ours uuid, name text, product text, owner text, stage text,
        amount numeric, "openedAt" timestamptz, "closedAt" timestamptz, history jsonb)
      LEFT JOIN LATERAL (
        SELECT id FROM customers WHERE id = r.ours OR external_id = r.customer ORDER BY id = r.ours DESC NULLS LAST LIMIT 1
      ) c ON true
    ), written AS (
      INSERT INTO opportunities AS o
        (id, external_id, customer_id, name, product, owner, stage, amount, opened_at, closed_at, history)
      SELECT id, "externalId", customer_id, name, product, owner, stage, amount, "openedAt", "closedAt",
             coalesce(history, '[]')
      FROM input WHERE customer_id IS NOT NULL ORDER BY "externalId"
      ON CONFLICT (external_id) DO UPDATE SET
        customer_id = excluded.customer_id, name = excluded.name, product = excluded.product, owner = excluded.owner,
        stage = excluded.stage, amount = excluded.amount, opened_at = excluded.opened_at,
        closed_at = excluded.closed_at, history = excluded.history, updated_at = now()
      WHERE (o.customer_id, o.name, o.product, o.owner, o.stage, o.amount, o.opened_at, o.closed_at, o.history)
        IS DISTINCT FROM (excluded.customer_id, excluded.name, excluded.product, excluded.owner, excluded.stage,
                          excluded.amount, excluded.opened_at, excluded.closed_at, excluded.history)
      RETURNING id, external_id
    )
    SELECT i.id, w.id AS "writtenId", i.customer_id IS NOT NULL AS known
    FROM input i LEFT JOIN written w ON w.external_id = i."externalId" ORDER BY i.n`;
  return written.map(outcomeOf);
}

/** One opportunity by our id or its external id; null when there is none. */
export async function findOpportunity(db: Db, anyId: string): Promise<Opportunity | null> {
  const { id, externalId } = keysOf(anyId);
  const [row] = await db<Row[]>`
    ${opportunities(db)} WHERE o.id = ${id} OR o.external_id = ${externalId} ORDER BY o.id = ${id} DESC NULLS LAST LIMIT 1`;
  return row === undefined ? null : toOpportunity(row);
}

export type OpportunityFilter = {
  customerId?: string | undefined;
  closed?: boolean | undefined;
  product?: string | undefined;
  owner?: string | undefined;
  stage?: string | undefined;
  /** Id of the last one seen. */
  before?: string | undefined;
  limit: number;
};

/** Newest first. */
export async function listOpportunities(db: Db, filter: OpportunityFilter): Promise<Opportunity[]> {
  const { customerId, closed, product, owner, stage, before, limit } = filter;
  const rows = await db<Row[]>`
    ${opportunities(db)} WHERE true
      ${customerId === undefined ? db`` : db`AND o.customer_id = ${customerId}`}
      ${closed === undefined ? db`` : db`AND (o.stage IN ('won', 'lost')) = ${closed}`}
      ${product === undefined ? db`` : db`AND o.product = ${product}`}
      ${owner === undefined ? db`` : db`AND o.owner = ${owner}`}
      ${stage === undefined ? db`` : db`AND o.stage = ${stage}`}
      ${before === undefined ? db`` : db`AND o.id < ${before}`}
    ORDER BY o.id DESC LIMIT ${limit}`;
  return rows.map(toOpportunity);
}

type Row = Omit<Opportunity, 'openedAt' | 'closedAt'> & { openedAt: Date | null; closedAt: Date | null };

function opportunities(db: Db) {
  return db`
    SELECT o.id, o.external_id AS "externalId", c.external_id AS customer, o.name, product, o.owner, stage, amount,
           opened_at AS "openedAt", closed_at AS "closedAt", history
    FROM opportunities o JOIN customers c ON c.id = o.customer_id`;
}

function toOpportunity(row: Row): Opportunity {
  return { ...row, openedAt: row.openedAt?.toISOString() ?? null, closedAt: row.closedAt?.toISOString() ?? null };
}
