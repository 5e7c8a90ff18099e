import type { Db } from '../client.ts';

/**
 * Makes the index of neighbours for the oldest dimension in use that has none; until then its embeddings are all
 * compared. Answers the dimension; null when none lacks one. Throws where it would have to wait for long transactions
 * of writers: later, then.
 */
export async function indexNextDimension(db: Db): Promise<number | null> {
  const [row] = await db<{ dimensions: number | null }[]>`SELECT index_next_dimension() AS dimensions`;
  return row?.dimensions ?? null;
}
