import { FlowstateError, type Viewer } from '@flowstate/contracts';
import type { Sql } from '../client.ts';
import { lockManaged } from '../collections/manage.ts';
import { mustSee } from '../documents/collections.ts';
import { checkDimensions } from './check-dimensions.ts';
import { isPending } from './pending.ts';

/**
 * Lets the new embeddings take the place of the old ones, all of them in one transaction: searches go on by the old
 * ones until it commits, writers of the collection wait. Says whether it did: not while a document lacks its new
 * embedding. Safe to repeat. Throws what `lockManaged` throws, and `conflict` when nothing is being reindexed by that
 * model or it has another dimension elsewhere, `unavailable` while another call is at it.
 */
export async function switchModel(
  sql: Sql,
  { collection, model }: { collection: string; model: string },
  viewer: Viewer,
): Promise<boolean> {
  return await sql.begin(async (tx) => {
    // Asked again while it is at it, it does not wait with another connection.
    const [turn] = await tx<{ mine: boolean }[]>`
      SELECT pg_try_advisory_xact_lock(hashtext('switch model'), hashtext(${collection})) AS mine`;
    if (turn?.mine !== true) {
      throw new FlowstateError('unavailable', `${collection} is being switched`, { retryAfter: 10 });
    }
    await lockManaged(tx, collection, viewer, { alone: true });
    await mustSee(tx, [collection], viewer);
    const [row] = await tx<{ present: string | null; target: string | null; dimensions: number | null }[]>`
      SELECT c.model AS present, r.model AS target, r.dimensions
      FROM collections c LEFT JOIN collection_reindexes r ON r.collection = c.name WHERE c.name = ${collection}`;
    if (row?.target !== model) {
      if (row?.present === model) return true; // done, and its answer was lost
      throw new FlowstateError('conflict', `${collection} is not being reindexed by ${model}`);
    }
    const [pending] = await tx`
      SELECT FROM documents d WHERE d.collection = ${collection} AND ${isPending(tx)} LIMIT 1`;
    if (pending !== undefined) return false;

    await tx`
      UPDATE documents d SET embedding = p.embedding, first_length = p.length
      FROM reindexed_parts p WHERE p.document_id = d.id AND p.index = 0 AND d.collection = ${collection}`;
    await tx`
      DELETE FROM document_chunks c USING documents d WHERE d.id = c.document_id AND d.collection = ${collection}`;
    await tx`
      WITH moved AS (
        DELETE FROM reindexed_parts p USING documents d
        WHERE d.id = p.document_id AND d.collection = ${collection} RETURNING p.*
      )
      INSERT INTO document_chunks (document_id, index, content_hash, begin, length, embedding)
      SELECT document_id, index, content_hash, begin, length, embedding FROM moved WHERE index > 0`;
    // Of a collection that has become empty nothing is known but the name: it keeps what it has.
    if (row.dimensions !== null) {
      // Asked at the start, too; others may have come by this model since.
      await checkDimensions(tx, { model, dimensions: row.dimensions }, viewer);
      await tx`
        UPDATE collections SET model = ${model}, dimensions = ${row.dimensions} WHERE name = ${collection}`;
    }
    await tx`SELECT bump_collections(${[collection]})`;
    await tx`DELETE FROM collection_reindexes WHERE collection = ${collection}`;
    return true;
  });
}
