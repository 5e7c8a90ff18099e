import type { RecommendationKind } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import type { AsOf } from './similar-customers.ts';

/** What was said of an item for one customer. */
export type Opinion = {
  kind: RecommendationKind;
  item: string;
  customerId: string;
  helpful: number;
  unhelpful: number;
};

/** Opinions about what was recommended for these customers, as of a moment (default now). */
export async function readOpinions(db: Db, customers: readonly string[], asOf: AsOf): Promise<Opinion[]> {
  return await db<Opinion[]>`
    SELECT kind, item, customer_id AS "customerId", count(*) FILTER (WHERE helpful) AS helpful,
           count(*) FILTER (WHERE NOT helpful) AS unhelpful
    FROM recommendation_feedback
    WHERE customer_id = ANY (${[...customers]}) AND (${asOf ?? null}::timestamptz IS NULL OR at < ${asOf ?? null})
    GROUP BY kind, item, customer_id ORDER BY kind, item, customer_id`;
}
