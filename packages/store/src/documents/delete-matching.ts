import type { Viewer } from '@flowstate/contracts';
import type { Sql } from '../client.ts';
import { lockCollections, mustSee } from './collections.ts';

/**
 * Deletes the documents of a collection whose metadata contain `filter`, all of them or none; says how many. What is
 * stored meanwhile stays. Throws `not_found` for a collection that is not there for the viewer.
 */
export async function deleteMatchingDocuments(
  sql: Sql,
  { collection, filter, viewer }: { collection: string; filter: Record<string, unknown>; viewer?: Viewer },
): Promise<number> {
  return await sql.begin(async (tx) => {
    await lockCollections(tx, [collection]);
    await mustSee(tx, [collection], viewer);
    // Locked in the order in which upserts do, so that neither waits for the other crosswise. A statement of its own:
    // one that another writer changed is judged by what it is now, and the deletion sees that version.
    const found = await tx<{ id: string }[]>`
      SELECT id FROM documents WHERE collection = ${collection} AND metadata @> ${JSON.stringify(filter)}::text::jsonb
      ORDER BY external_id, id FOR UPDATE`;
    const { count } = await tx`DELETE FROM documents WHERE id = ANY(${found.map((row) => row.id)})`;
    return count;
  });
}
