import type { SearchHit, SearchWeights } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import type { Match } from '../documents/match.ts';
import { queryVector } from '../documents/vector-text.ts';

export type HybridMatch = Match & {
  /** Documents that share its words are found too, whatever their similarity. */
  text: string;
  weights: SearchWeights;
};

type Row = SearchHit & { score: number; vectorRank: number | null; textRank: number | null };

/** The documents best by meaning and words together, best first; throws as `matchDocuments` does. */
export async function matchHybrid(
  db: Db,
  { embedding, text, threshold, limit, weights, filter, collections, viewer, model, exact = false }: HybridMatch,
): Promise<SearchHit[]> {
  const rows = await db<Row[]>`
    SELECT id, external_id AS "externalId", collection, title, text, metadata, similarity, score,
           vector_rank AS "vectorRank", text_rank AS "textRank"
    FROM hybrid_documents(
      ${queryVector(embedding)}::vector, ${text}, ${threshold}, ${limit}, ${weights.vector}, ${weights.text},
      ${JSON.stringify(filter)}::text::jsonb, ${[...collections]}, ${viewer?.id ?? null}, ${viewer?.role ?? null},
      ${model ?? null}, ${exact})`;
  return rows.map(({ vectorRank, textRank, ...hit }) => ({ ...hit, ranks: { vector: vectorRank, text: textRank } }));
}
