import type { SearchHit } from '@flowstate/contracts';
import type { Db } from '../client.ts';

export type Match = {
  embedding: readonly number[];
  /** Least cosine similarity, -1 to 1. */
  threshold: number;
  limit: number;
  /** Contained in the metadata of what is found. */
  filter: Record<string, unknown>;
  /** Only these are searched. */
  collections: readonly string[];
};

/** The documents nearest to an embedding, nearest first. Not for a `ledger` pool, which forbids the plans it needs. */
export async function matchDocuments(
  db: Db,
  { embedding, threshold, limit, filter, collections }: Match,
): Promise<SearchHit[]> {
  return await db<SearchHit[]>`
    SELECT id, external_id AS "externalId", collection, title, text, metadata, similarity
    FROM match_documents(${toVector(embedding)}::vector, ${threshold}, ${limit}, ${JSON.stringify(filter)}::text::jsonb,
                         ${[...collections]})`;
}

/** pgvector's text form. */
export function toVector(embedding: readonly number[]): string {
  return `[${embedding.join()}]`;
}
