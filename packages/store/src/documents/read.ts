import { FlowstateError, type Document } from '@flowstate/contracts';
import type { Db } from '../client.ts';

type Row = {
  id: string;
  external_id: string | null;
  collection: string;
  title: string | null;
  text: string;
  metadata: Record<string, unknown>;
  content_hash: string;
  embedded: boolean;
  created_at: Date;
  updated_at: Date;
};

const uuid = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

/**
 * One document by our id or its external id, null when there is none. Throws `conflict` when several collections know
 * the external id and none is named.
 */
export async function findDocument(db: Db, anyId: string, collection?: string): Promise<Document | null> {
  const id = uuid.test(anyId) ? anyId.toLowerCase() : null;
  const rows = await db<Row[]>`
    SELECT ${columns(db)} FROM documents
    WHERE (id = ${id} OR external_id = ${anyId}) ${collection === undefined ? db`` : db`AND collection = ${collection}`}
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

/** Those of the ids that exist. */
export async function findDocuments(db: Db, ids: readonly string[]): Promise<Document[]> {
  const rows = await db<Row[]>`SELECT ${columns(db)} FROM documents WHERE id = ANY(${[...ids]}) ORDER BY id`;
  return rows.map(toDocument);
}

/** Newest first; `before` is the id of the last one seen. */
export async function listDocuments(
  db: Db,
  { collection, before, limit }: { collection?: string | undefined; before?: string | undefined; limit: number },
): Promise<Document[]> {
  const rows = await db<Row[]>`
    SELECT ${columns(db)} FROM documents
    WHERE true
      ${collection === undefined ? db`` : db`AND collection = ${collection}`}
      ${before === undefined ? db`` : db`AND id < ${before}`}
    ORDER BY id DESC LIMIT ${limit}`;
  return rows.map(toDocument);
}

/** Says whether there was one. */
export async function deleteDocument(db: Db, id: string): Promise<boolean> {
  const { count } = await db`DELETE FROM documents WHERE id = ${id}`;
  return count > 0;
}

function columns(db: Db) {
  return db`id, external_id, collection, title, text, metadata, content_hash, created_at, updated_at,
            embedding IS NOT NULL AND NOT EXISTS (
              SELECT FROM documents_without_parts w WHERE w.document_id = documents.id) AS embedded`;
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
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  };
}
