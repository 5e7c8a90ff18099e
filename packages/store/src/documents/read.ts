import { FlowstateError, isUuid, type Document, type Viewer } from '@flowstate/contracts';
import type { Db, Sql } from '../client.ts';
import { lockCollectionsOf, visibleTo } from './collections.ts';

type Row = {
  id: string;
  external_id: string | null;
  collection: string;
  title: string | null;
  text: string;
  metadata: Record<string, unknown>;
  content_hash: string;
  embedded: boolean;
  model: string | null;
  created_at: Date;
  updated_at: Date;
};

/**
 * One document by our id or its external id, null when there is none that the viewer sees; without a viewer, that
 * everybody sees. Throws `conflict` when several collections know the external id and none is named.
 */
export async function findDocument(
  db: Db,
  anyId: string,
  collection?: string,
  viewer?: Viewer,
): Promise<Document | null> {
  const id = isUuid(anyId) ? anyId.toLowerCase() : null;
  const rows = await db<Row[]>`
    SELECT ${columns(db)} FROM documents
    WHERE (id = ${id} OR external_id = ${anyId}) ${collection === undefined ? db`` : db`AND collection = ${collection}`}
      AND ${isVisible(db, viewer)}
    ORDER BY id = ${id} DESC NULLS LAST LIMIT 2`;
  const [first, second] = rows;
  if (first === undefined) return null;
  if (second !== undefined && first.id !== id) {
    throw new FlowstateError(
      'conflict',
      'Several collections have a document of this external id: name the collection',
    );
  }
  return toDocument(first);
}

/** Those of the ids that exist for the viewer. */
export async function findDocuments(db: Db, ids: readonly string[], viewer?: Viewer): Promise<Document[]> {
  const rows = await db<Row[]>`
    SELECT ${columns(db)} FROM documents WHERE id = ANY(${[...ids]}) AND ${isVisible(db, viewer)} ORDER BY id`;
  return rows.map(toDocument);
}

/** Newest first; `before` is the id of the last one seen. */
export async function listDocuments(
  db: Db,
  {
    collection,
    before,
    limit,
    viewer,
  }: { collection?: string | undefined; before?: string | undefined; limit: number; viewer?: Viewer },
): Promise<Document[]> {
  const rows = await db<Row[]>`
    SELECT ${columns(db)} FROM documents
    WHERE ${isVisible(db, viewer)}
      ${collection === undefined ? db`` : db`AND collection = ${collection}`}
      ${before === undefined ? db`` : db`AND id < ${before}`}
    ORDER BY id DESC LIMIT ${limit}`;
  return rows.map(toDocument);
}

/** Says whether there was one for the viewer. */
export async function deleteDocument(sql: Sql, id: string, viewer?: Viewer): Promise<boolean> {
  return await sql.begin(async (tx) => {
    await lockCollectionsOf(tx, [id]);
    const { count } = await tx`DELETE FROM documents WHERE id = ${id} AND ${isVisible(tx, viewer)}`;
    return count > 0;
  });
}

function isVisible(db: Db, viewer: Viewer | undefined) {
  return db`collection IN (SELECT name FROM ${visibleTo(db, viewer)})`;
}

function columns(db: Db) {
  return db`id, external_id, collection, title, text, metadata, content_hash,
            embedding IS NOT NULL AND NOT EXISTS (
              SELECT FROM documents_without_parts w WHERE w.document_id = documents.id) AS embedded,
            (SELECT c.model FROM collections c WHERE c.name = documents.collection) AS model,
            created_at, updated_at`;
}

function toDocument(row: Row): Document {
  return {
    id: row.id,
    externalId: row.external_id,
    collection: row.collection,
    title: row.title,
    text: row.text,
    metadata: row.metadata,
    contentHash: row.content_hash,
    embedded: row.embedded,
    model: row.model,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  };
}
