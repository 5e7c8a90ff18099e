import type { Db } from '../client.ts';

export type Collection = {
  name: string;
  /** Model and dimension of its embeddings; null until the first one is stored. */
  model: string | null;
  dimensions: number | null;
  /** Rises with every write to its documents. */
  version: number;
};

/** The named ones that exist, or all; in name order. */
export async function findCollections(db: Db, names?: readonly string[]): Promise<Collection[]> {
  return await db<Collection[]>`
    SELECT name, model, dimensions, version FROM collections
    ${names === undefined ? db`` : db`WHERE name = ANY(${[...names]})`}
    ORDER BY name`;
}
