import { FlowstateError, invalidInput } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { toVector } from '../documents/vector-text.ts';

export type StagedPart = {
  /** Its place in the request, for errors. */
  item: number;
  documentId: string;
  collection: string;
  contentHash: string;
  index: number;
  /** Parts of the document. */
  of: number;
  begin: number;
  length: number;
  vector: readonly number[];
};

/** Those of the collections that are being embedded anew by that model. */
export async function findReindexed(tx: Db, collections: readonly string[], model: string): Promise<Set<string>> {
  const rows = await tx<{ collection: string }[]>`
    SELECT collection FROM collection_reindexes WHERE collection = ANY(${[...collections]}) AND model = ${model}`;
  return new Set(rows.map((row) => row.collection));
}

/**
 * Stores embeddings beside those that searches use; the same part again replaces the one before. Answers the ids of
 * documents whose first part came although others are missing: that one is not taken. Throws `invalid_input` for
 * another dimension than the first one had, `conflict` when the reindexing was given up.
 */
export async function stageParts(tx: Db, model: string, parts: readonly StagedPart[]): Promise<Set<string>> {
  if (parts.length === 0) return new Set();
  for (const collection of [...new Set(parts.map((part) => part.collection))].toSorted()) {
    const own = parts.filter((part) => part.collection === collection);
    const [row] = await tx<{ dimensions: number }[]>`
      UPDATE collection_reindexes SET dimensions = coalesce(dimensions, ${own[0]?.vector.length ?? null})
      WHERE collection = ${collection} AND model = ${model} RETURNING dimensions`;
    if (row === undefined) throw new FlowstateError('conflict', `${collection} is not being reindexed by ${model}`);
    const wrong = own.find((part) => part.vector.length !== row.dimensions);
    if (wrong === undefined) continue;
    const message = `must have ${row.dimensions} dimensions, not ${wrong.vector.length}`;
    throw invalidInput([{ field: `items.${wrong.item}.embedding`, message }]);
  }
  await insertParts(
    tx,
    parts.filter((part) => part.index > 0),
  );
  const firsts = parts.filter((part) => part.index === 0);
  const json = JSON.stringify(firsts.map(({ documentId, contentHash, of }) => ({ documentId, contentHash, of })));
  const incomplete = await tx<{ id: string }[]>`
    SELECT r."documentId" AS id
    FROM json_to_recordset(${json}::text::json) AS r("documentId" uuid, "contentHash" text, "of" int)
    WHERE r."of" - 1 > (
      SELECT count(*) FROM reindexed_parts p
      WHERE p.document_id = r."documentId" AND p.content_hash = r."contentHash" AND p.index BETWEEN 1 AND r."of" - 1)`;
  const left = new Set(incomplete.map((row) => row.id));
  const complete = firsts.filter((part) => !left.has(part.documentId));
  await insertParts(tx, complete);
  await tx`
    DELETE FROM reindexed_parts p
    USING json_to_recordset(${json}::text::json) AS r("documentId" uuid, "contentHash" text, "of" int)
    WHERE p.document_id = r."documentId" AND (p.content_hash <> r."contentHash" OR p.index >= r."of")`;
  return left;
}

async function insertParts(tx: Db, parts: readonly StagedPart[]): Promise<void> {
  const distinct = new Map(parts.map((part) => [`${part.documentId}#${part.index}`, part]));
  if (distinct.size === 0) return;
  const rows = [...distinct.values()].map(({ documentId, contentHash, index, of, begin, length, vector }) => ({
    document_id: documentId,
    content_hash: contentHash,
    index,
    begin,
    length: of > 1 ? length : null,
    embedding: toVector(vector),
  }));
  await tx`
    INSERT INTO reindexed_parts (document_id, index, content_hash, begin, length, embedding)
    SELECT document_id, index, content_hash, begin, length, embedding::vector
    FROM json_to_recordset(${JSON.stringify(rows)}::text::json) AS r(
      document_id uuid, index int, content_hash text, begin int, length int, embedding text)
    ON CONFLICT (document_id, index) DO UPDATE SET
      content_hash = excluded.content_hash, begin = excluded.begin, length = excluded.length,
      embedding = excluded.embedding`;
}
