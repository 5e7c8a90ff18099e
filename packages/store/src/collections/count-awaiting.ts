import type { Db } from '../client.ts';

/** Documents of a collection that are still to be embedded. */
export async function countAwaitingEmbedding(db: Db, collection: string): Promise<number> {
  const [row] = await db<{ count: number }[]>`
    SELECT count(*)::int AS count FROM documents WHERE collection = ${collection} AND embedding IS NULL`;
  return row?.count ?? 0;
}
