import type { Db } from '../client.ts';
import type { Match } from '../documents/match.ts';
import { queryVector } from '../documents/vector-text.ts';

/** How Postgres would go about the scans of such a call now (`EXPLAIN (FORMAT JSON)`); it runs none of them. */
export async function explainMatch(
  db: Db,
  { embedding, limit, filter, collections, exact = false }: Match,
): Promise<unknown[]> {
  const rows = await db<{ plan: unknown }[]>`
    SELECT plan FROM match_documents_plans(${queryVector(embedding)}::vector, ${limit}, ${JSON.stringify(filter)}::text::jsonb,
                                           ${[...collections]}, ${exact}) AS plan`;
  return rows.map((row) => row.plan);
}
