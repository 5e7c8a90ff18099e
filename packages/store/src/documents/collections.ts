import { FlowstateError, type Viewer } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { isLocked } from '../failures.ts';

export type Collection = {
  name: string;
  /** Model and dimension of its embeddings; null until the first one is stored. */
  model: string | null;
  dimensions: number | null;
  /** Rises with every write to its documents; never the same again, even if the collection is deleted and made anew. */
  version: number;
  /** Rises with every change of who sees it; likewise. */
  accessEpoch: number;
  /** Seconds a cached answer from it may live; null: as long as is configured. */
  cacheTtlSeconds: number | null;
  /** The same for all: embeddings of queries from an earlier one are not used any more. */
  queryGeneration: number;
};

/** The named ones that the viewer sees, or all of those; in name order. Without a viewer: what everybody sees. */
export async function findCollections(db: Db, names?: readonly string[], viewer?: Viewer): Promise<Collection[]> {
  return await db<Collection[]>`
    SELECT name, model, dimensions, version, access_epoch AS "accessEpoch", cache_ttl_seconds AS "cacheTtlSeconds",
      query_generation AS "queryGeneration"
    FROM search_scope(${viewer?.id ?? null}, ${viewer?.role ?? null}, ${names === undefined ? null : [...names]})`;
}

/** The rows of `collections` that the viewer sees, for a statement's FROM. */
export function visibleTo(db: Db, viewer: Viewer | undefined) {
  return db`visible_collections(${viewer?.id ?? null}::uuid, ${viewer?.role ?? null}::text)`;
}

/** Throws `not_found` unless the viewer sees all of the named collections. */
export async function mustSee(db: Db, names: readonly string[], viewer: Viewer | undefined): Promise<void> {
  const seen = await db<{ name: string }[]>`SELECT name FROM ${visibleTo(db, viewer)} WHERE name = ANY(${[...names]})`;
  const hidden = names.find((name) => seen.every((row) => row.name !== name));
  if (hidden !== undefined) throw new NoCollectionError(hidden);
}

/** The same whether it is not there or not for the asker. */
export class NoCollectionError extends FlowstateError {
  readonly collection: string;
  constructor(name: string, field = 'collection') {
    super('not_found', `There is no collection ${name}`, { errors: [{ field, message: 'does not exist' }] });
    this.collection = name;
  }
}

/**
 * Before any write to documents: whoever changes a collection as a whole (its model, its end) waits for the writers
 * there are and keeps others out, and nobody waits crosswise. Throws `unavailable` meanwhile: that may take minutes, in
 * which waiting writers would hold all connections.
 */
export async function lockCollections(tx: Db, names: readonly string[]): Promise<string[]> {
  const rows = await unlessChanging(tx<{ name: string }[]>`
    SELECT name FROM collections WHERE name = ANY(${[...names]}) ORDER BY name FOR KEY SHARE NOWAIT`);
  return rows.map((row) => row.name);
}

/** The same for the collections of these documents. */
export async function lockCollectionsOf(tx: Db, ids: readonly string[]): Promise<void> {
  await unlessChanging(tx`
    SELECT FROM collections WHERE name IN (SELECT collection FROM documents WHERE id = ANY(${[...ids]}))
    ORDER BY name FOR KEY SHARE NOWAIT`);
}

async function unlessChanging<T>(query: PromiseLike<T>): Promise<T> {
  try {
    return await query;
  } catch (cause) {
    if (!isLocked(cause)) throw cause;
    const message = 'The collection is getting another model, or is being deleted: again in a moment';
    throw new FlowstateError('unavailable', message, { cause, retryAfter: 5 });
  }
}
