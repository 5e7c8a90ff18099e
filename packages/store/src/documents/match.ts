import type { SearchHit, Viewer } from '@flowstate/contracts';
import postgres from 'postgres';
import type { Db } from '../client.ts';
import { queryVector } from './vector-text.ts';

export type Match = {
  embedding: ArrayLike<number>;
  /** Least cosine similarity, -1 to 1. */
  threshold: number;
  limit: number;
  /** Contained in the metadata of what is found. */
  filter: Record<string, unknown>;
  /** Only these are searched. */
  collections: readonly string[];
  /** Whose collections they must be; without one, everybody's. */
  viewer?: Viewer | undefined;
  /** What must have embedded them, if that matters. */
  model?: string | undefined;
  /** Compares every embedding instead of using the index. */
  exact?: boolean | undefined;
};

/**
 * The documents nearest to an embedding, nearest first. Throws the error that `isOutdatedScope` knows when one of the
 * collections is not there for the viewer, or not by that model, any more. Not for a `ledger` pool, which forbids the
 * plans it needs.
 */
export async function matchDocuments(
  db: Db,
  { embedding, threshold, limit, filter, collections, viewer, model, exact = false }: Match,
): Promise<SearchHit[]> {
  return await db<SearchHit[]>`
    SELECT id, external_id AS "externalId", collection, title, text, metadata, similarity
    FROM match_documents(${queryVector(embedding)}::vector, ${threshold}, ${limit}, ${JSON.stringify(filter)}::text::jsonb,
                         ${[...collections]}, ${viewer?.id ?? null}, ${viewer?.role ?? null}, ${model ?? null},
                         ${exact})`;
}

/** What `searchable_collections` raises: whoever chose the collections must choose again by what there is now. */
export function isOutdatedScope(error: unknown): boolean {
  return error instanceof postgres.PostgresError && error.code === 'FS001';
}
