import { ageBucketBounds, ageBuckets, type BaseRate } from '@flowstate/contracts';
import type { Db } from '../client.ts';

/**
 * Win counts over all closed opportunities and by product, owner, age when closed, and every stage they went through
 * on the way (an opportunity counts once in each). Ages are whole days from opening to closing; without both dates
 * there is none.
 */
export async function readBaseRates(db: Db): Promise<BaseRate[]> {
  // width_bucket counts the lower bounds an age has reached.
  const lowerBounds = ageBucketBounds.map((bound) => bound + 1);
  return await db<BaseRate[]>`
    WITH closed AS (
      SELECT product, owner, stage = 'won' AS won, CASE WHEN stage = 'won' THEN amount END AS won_amount, history,
        (${ageBuckets}::text[])[1 + width_bucket(
          floor(extract(epoch FROM closed_at - opened_at) / 86400)::int, ${lowerBounds}::int[])] AS age
      FROM opportunities WHERE stage IN ('won', 'lost')
    ), rates AS (
      SELECT CASE WHEN grouping(product) = 0 THEN 'product' WHEN grouping(owner) = 0 THEN 'owner'
                  WHEN grouping(age) = 0 THEN 'age' ELSE 'all' END AS dimension,
        coalesce(product, owner, age, '') AS value, count(*) AS closed, count(*) FILTER (WHERE won) AS won,
        coalesce(sum(won_amount), 0) AS "wonAmount", count(won_amount) AS "wonWithAmount"
      FROM closed GROUP BY GROUPING SETS ((), (product), (owner), (age))
      HAVING grouping(age) = 1 OR age IS NOT NULL
      UNION ALL
      SELECT 'stage', entered.stage, count(*), count(*) FILTER (WHERE won), coalesce(sum(won_amount), 0), count(won_amount)
      FROM closed CROSS JOIN LATERAL (
        SELECT DISTINCT entry ->> 'stage' AS stage FROM jsonb_array_elements(history) AS entry
      ) entered
      WHERE entered.stage NOT IN ('won', 'lost')
      GROUP BY entered.stage
    )
    SELECT * FROM rates ORDER BY array_position(ARRAY['all', 'stage', 'product', 'owner', 'age'], dimension), value`;
}
