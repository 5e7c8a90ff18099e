import type { Db } from '../client.ts';
import type { AsOf } from './similar-customers.ts';

export type WonOpportunity = {
  id: string;
  externalId: string;
  name: string | null;
  closedAt: string | null;
  customerId: string;
};

export type ProductOutcome = {
  product: string;
  /** Other customers who won an opportunity of it, out of all other customers who won anything. */
  winners: number;
  of: number;
  /** Of the customers named, the last ones won first. */
  won: WonOpportunity[];
};

/**
 * Who won what, by product, as of a moment (default now); products that the customer has won or is being offered are
 * left out. `won` names opportunities of `similar` only.
 */
export async function readProductOutcomes(
  db: Db,
  { customerId, similar, asOf }: { customerId: string; similar: readonly string[]; asOf: AsOf },
): Promise<ProductOutcome[]> {
  const moment = asOf ?? null;
  return await db<ProductOutcome[]>`
    WITH won AS MATERIALIZED (
      SELECT id, external_id, name, product, customer_id, closed_at FROM opportunities
      WHERE stage = 'won' AND (${moment}::timestamptz IS NULL OR closed_at < ${moment})
    ), taken AS (
      SELECT product FROM won WHERE customer_id = ${customerId}
      UNION
      SELECT product FROM opportunities WHERE customer_id = ${customerId} AND CASE
        WHEN ${moment}::timestamptz IS NULL THEN stage NOT IN ('won', 'lost')
        ELSE opened_at < ${moment} AND (stage NOT IN ('won', 'lost') OR closed_at >= ${moment}) END
    )
    SELECT product, count(DISTINCT customer_id) AS winners,
      (SELECT count(DISTINCT customer_id) FROM won WHERE customer_id <> ${customerId}) AS "of",
      coalesce(jsonb_agg(jsonb_build_object('id', id, 'externalId', external_id, 'name', name, 'customerId', customer_id,
          'closedAt', to_char(closed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
          ORDER BY closed_at DESC NULLS LAST, id)
        FILTER (WHERE customer_id = ANY (${[...similar]})), '[]') AS won
    FROM won WHERE customer_id <> ${customerId} AND product NOT IN (SELECT product FROM taken)
    GROUP BY product ORDER BY product`;
}
