import type { SimilarCustomer } from '@flowstate/contracts';
import type { Db } from '../client.ts';

export type AsOf = string | undefined;

/**
 * Customers most like this one, of those with won opportunities or feedback as of a moment (default now), and only
 * those that share something. Similarity is the weighted mean over the attributes known of this one, Gower's coefficient
 * ("A general coefficient of similarity and some of its properties", Biometrics 1971): 1 or 0 for the same industry,
 * segment and country; the share of products won by both among those won by either; size by the logarithm of
 * employees, 0 from a factor of ten on. An attribute not known of the other one counts as different.
 */
export async function findSimilarCustomers(
  db: Db,
  { customerId, asOf, limit }: { customerId: string; asOf: AsOf; limit: number },
): Promise<SimilarCustomer[]> {
  return await db<SimilarCustomer[]>`
    WITH won AS MATERIALIZED (
      SELECT customer_id, array_agg(DISTINCT product) AS products FROM opportunities
      WHERE stage = 'won' AND (${asOf ?? null}::timestamptz IS NULL OR closed_at < ${asOf ?? null})
      GROUP BY customer_id
    ), target AS (
      SELECT c.*, coalesce(w.products, '{}') AS products FROM customers c LEFT JOIN won w ON w.customer_id = c.id
      WHERE c.id = ${customerId}
    ), part AS (
      SELECT c.id, c.external_id, c.name,
        CASE WHEN cardinality(t.products) > 0 THEN
          (SELECT count(*)::float8 FROM unnest(t.products) AS own WHERE own = ANY (w.products))
          / (SELECT count(*) FROM (SELECT unnest(t.products) UNION SELECT unnest(w.products)) AS either) END AS products,
        CASE WHEN t.industry IS NOT NULL THEN coalesce(lower(c.industry) = lower(t.industry), false)::int END AS industry,
        CASE WHEN t.segment IS NOT NULL THEN coalesce(lower(c.segment) = lower(t.segment), false)::int END AS segment,
        CASE WHEN t.country IS NOT NULL THEN coalesce(lower(c.country) = lower(t.country), false)::int END AS country,
        CASE WHEN t.employees > 0 THEN
          coalesce(greatest(0, 1 - abs(ln(nullif(c.employees, 0)::float8 / t.employees)) / ln(10)), 0) END AS size
      FROM customers c CROSS JOIN target t LEFT JOIN won w ON w.customer_id = c.id
      WHERE c.id <> t.id AND (w.customer_id IS NOT NULL OR EXISTS (
        SELECT FROM recommendation_feedback f
        WHERE f.customer_id = c.id AND (${asOf ?? null}::timestamptz IS NULL OR f.at < ${asOf ?? null})))
    ), judged AS (
      SELECT part.*, (
          SELECT sum(weight * share) / sum(weight) FROM (VALUES
            (4, products), (3, industry), (2, segment), (2, size), (1, country)
          ) AS v(weight, share) WHERE share IS NOT NULL
        ) AS similarity
      FROM part
    )
    SELECT id, external_id AS "externalId", name, round(similarity::numeric, 4)::float8 AS similarity,
      array_remove(ARRAY[
        CASE WHEN products >= 0.5 THEN 'products' END, CASE WHEN industry = 1 THEN 'industry' END,
        CASE WHEN segment = 1 THEN 'segment' END, CASE WHEN size >= 0.5 THEN 'size' END,
        CASE WHEN country = 1 THEN 'country' END], NULL) AS common
    FROM judged WHERE similarity > 0
    ORDER BY judged.similarity DESC, id LIMIT ${limit}`;
}
