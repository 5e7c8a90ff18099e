import type { Viewer } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { findDocument } from '../documents/read.ts';

export type DocumentEmbedding = {
  id: string;
  collection: string;
  /** The mean of its parts', which cosine needs not be scaled; null until all of it is embedded. */
  embedding: readonly number[] | null;
  model: string | null;
};

/** What a document is about, by our id or its external id; null and errors as in `findDocument`. */
export async function findDocumentEmbedding(
  db: Db,
  anyId: string,
  { collection, viewer }: { collection?: string | undefined; viewer?: Viewer },
): Promise<DocumentEmbedding | null> {
  const document = await findDocument(db, anyId, collection, viewer);
  if (document === null) return null;
  const [row] = await db<{ embedding: string | null; model: string | null }[]>`
    SELECT c.model, (
      SELECT avg(part.embedding)::text FROM (
        SELECT d.embedding
        UNION ALL
        SELECT p.embedding FROM document_chunks p WHERE p.document_id = d.id AND p.content_hash = d.content_hash
      ) part WHERE d.embedding IS NOT NULL
    ) AS embedding
    FROM documents d JOIN collections c ON c.name = d.collection WHERE d.id = ${document.id}`;
  if (row === undefined) return null; // deleted meanwhile
  const embedding = row.embedding === null ? null : (JSON.parse(row.embedding) as number[]);
  return { id: document.id, collection: document.collection, embedding, model: row.model };
}
