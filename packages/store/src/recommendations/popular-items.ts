import type { RecommendationKind } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import type { AsOf } from './similar-customers.ts';

export type PopularItem = { kind: RecommendationKind; item: string; helpful: number; unhelpful: number };

/** The items most often called helpful, whoever the customer was, as of a moment (default now). */
export async function readPopularItems(db: Db, { asOf, limit }: { asOf: AsOf; limit: number }): Promise<PopularItem[]> {
  return await db<PopularItem[]>`
    SELECT kind, item, count(*) FILTER (WHERE helpful) AS helpful, count(*) FILTER (WHERE NOT helpful) AS unhelpful
    FROM recommendation_feedback WHERE ${asOf ?? null}::timestamptz IS NULL OR at < ${asOf ?? null}
    GROUP BY kind, item HAVING bool_or(helpful)
    ORDER BY count(*) FILTER (WHERE helpful) DESC, kind, item LIMIT ${limit}`;
}
