import type { Db } from '../client.ts';

/**
 * Makes every cached answer from the named collection, or from all, unreachable, by raising versions: as a write would,
 * at once and in every process. With all of them go the embeddings of queries, which belong to no collection. Answers
 * the collections' names.
 */
export async function expireAnswers(db: Db, collection?: string): Promise<string[]> {
  const rows = await db<{ name: string }[]>`
    SELECT name FROM collections ${collection === undefined ? db`` : db`WHERE name = ${collection}`} ORDER BY name`;
  const names = rows.map((row) => row.name);
  if (names.length > 0) await db`SELECT bump_collections(${names})`;
  if (collection === undefined) await db`SELECT nextval('query_generations')`;
  return names;
}
