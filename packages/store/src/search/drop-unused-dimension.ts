import type { Db } from '../client.ts';

/**
 * Where a dimension in use waits for its index because too many have one, drops that of a dimension which no collection
 * has any more. Answers the dimension; null when there is nothing to do, or somebody was at the documents all the time:
 * nobody waits for this.
 */
export async function dropUnusedDimension(db: Db): Promise<number | null> {
  const [row] = await db<{ dimensions: number | null }[]>`SELECT drop_unused_dimension() AS dimensions`;
  return row?.dimensions ?? null;
}
