import { FlowstateError, type Document, type Viewer } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { mustSee } from '../documents/collections.ts';
import { findDocuments } from '../documents/read.ts';

export type PendingDocuments = {
  items: Document[];
  /** How many the collection has. */
  documents: number;
};

/**
 * Documents of a collection that still lack new embeddings of their present content, by id. Throws `not_found` for a
 * collection that is not there for the viewer, and `conflict` when it is not being reindexed by that model.
 */
export async function findPending(
  db: Db,
  { collection, model, after, limit }: { collection: string; model: string; after?: string | undefined; limit: number },
  viewer: Viewer,
): Promise<PendingDocuments> {
  await mustSee(db, [collection], viewer);
  const [reindex] = await db<{ documents: number }[]>`
    SELECT (SELECT count(*) FROM documents d WHERE d.collection = r.collection) AS documents
    FROM collection_reindexes r WHERE r.collection = ${collection} AND r.model = ${model}`;
  if (reindex === undefined) throw new FlowstateError('conflict', `${collection} is not being reindexed by ${model}`);
  const rows = await db<{ id: string }[]>`
    SELECT d.id FROM documents d
    WHERE d.collection = ${collection} ${after === undefined ? db`` : db`AND d.id > ${after}`} AND ${isPending(db)}
    ORDER BY d.id LIMIT ${limit}`;
  const ids = rows.map((row) => row.id);
  return { items: await findDocuments(db, ids, viewer), documents: reindex.documents };
}

/** Of a document `d`. */
export function isPending(db: Db) {
  return db`NOT EXISTS (
    SELECT FROM reindexed_parts p WHERE p.document_id = d.id AND p.index = 0 AND p.content_hash = d.content_hash)`;
}
