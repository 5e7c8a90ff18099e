import type { Db } from '../client.ts';
import { toVector } from './vector-text.ts';

type StoredChunk = {
  documentId: string;
  contentHash: string;
  /** From 1: the first part's embedding is the document's own. */
  index: number;
  begin: number;
  length: number;
  vector: readonly number[];
};

/** Stores parts of long texts; the same part again replaces the one before. */
export async function storeChunks(tx: Db, chunks: readonly StoredChunk[]): Promise<void> {
  // Of the same part twice in one request the last counts, as for documents.
  const distinct = new Map(chunks.map((chunk) => [`${chunk.documentId}#${chunk.index}`, chunk]));
  if (distinct.size === 0) return;
  const rows = [...distinct.values()].map(({ documentId, contentHash, index, begin, length, vector }) => ({
    document_id: documentId,
    content_hash: contentHash,
    index,
    begin,
    length,
    embedding: toVector(vector),
  }));
  await tx`
    INSERT INTO document_chunks AS c (document_id, index, content_hash, begin, length, embedding)
    SELECT document_id, index, content_hash, begin, length, embedding::vector
    FROM json_to_recordset(${JSON.stringify(rows)}::text::json) AS r(
      document_id uuid, index int, content_hash text, begin int, length int, embedding text)
    ON CONFLICT (document_id, index) DO UPDATE SET
      content_hash = excluded.content_hash, begin = excluded.begin, length = excluded.length,
      embedding = excluded.embedding`;
}

type CompleteDocument = { id: string; contentHash: string; of: number };

/** Those of the documents that lack a part of their present content. */
export async function findIncomplete(tx: Db, documents: readonly CompleteDocument[]): Promise<Set<string>> {
  const long = documents.filter((document) => document.of > 1);
  if (long.length === 0) return new Set();
  const rows = await tx<{ id: string }[]>`
    SELECT r.id FROM json_to_recordset(${JSON.stringify(long)}::text::json) AS r(id uuid, "contentHash" text, "of" int)
    WHERE r."of" - 1 > (
      SELECT count(*) FROM document_chunks c
      WHERE c.document_id = r.id AND c.content_hash = r."contentHash" AND c.index < r."of")`;
  return new Set(rows.map((row) => row.id));
}

/** Removes what earlier content left: parts that no search finds any more. */
export async function deleteStaleChunks(tx: Db, documents: readonly CompleteDocument[]): Promise<void> {
  await tx`
    DELETE FROM document_chunks c
    USING json_to_recordset(${JSON.stringify(documents)}::text::json) AS r(id uuid, "contentHash" text, "of" int)
    WHERE c.document_id = r.id AND (c.content_hash <> r."contentHash" OR c.index >= r."of")`;
}
