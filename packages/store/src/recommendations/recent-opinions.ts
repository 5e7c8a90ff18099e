import type { RecommendationKind } from '@flowstate/contracts';
import type { Db } from '../client.ts';

/** Opinions of the last so many days by kind; kinds without any are left out. */
export async function countRecentOpinions(
  db: Db,
  days: number,
): Promise<{ kind: RecommendationKind; helpful: number; all: number }[]> {
  return await db<{ kind: RecommendationKind; helpful: number; all: number }[]>`
    SELECT kind, count(*) FILTER (WHERE helpful) AS helpful, count(*) AS "all" FROM recommendation_feedback
    WHERE at > now() - ${days} * interval '1 day' GROUP BY kind ORDER BY kind`;
}
