import { createHash } from 'node:crypto';
import { defaultCollection, type DocumentInput, type Viewer } from '@flowstate/contracts';
import { v7 as uuidv7 } from 'uuid';
import type { Db, Sql } from '../client.ts';
import { lockCollections, mustSee } from './collections.ts';

export type UpsertedDocument = {
  id: string;
  externalId: string | null;
  status: 'inserted' | 'updated' | 'unchanged';
  /** false: its embedding is still to be computed (new, changed, or never finished). */
  embedded: boolean;
};

type Row = Required<Pick<DocumentInput, 'collection' | 'text' | 'metadata'>> & {
  id: string;
  external_id: string | null;
  title: string | null;
  content_hash: string;
};

/** Covers exactly what an embedding is made from: as long as it is the same, the embedding holds. */
export function contentHash({ title, text }: { title?: string | null; text: string }): string {
  return createHash('sha256')
    .update(JSON.stringify([title ?? null, text]))
    .digest('hex');
}

/**
 * Stores documents by (collection, externalId); one without an external id is always new. Answers in the order of
 * `rows`; among rows with the same key the last one counts and all answer its result. An embedding is kept unless
 * title or text changed. A collection comes into being with its first document, shared and nobody's. Throws `not_found`
 * for one that the viewer does not see, and then stores nothing.
 */
export async function upsertDocuments(
  db: Db,
  rows: readonly DocumentInput[],
  viewer?: Viewer,
): Promise<UpsertedDocument[]> {
  if (rows.length === 0) return [];
  const all = rows.map(toRow);
  const distinct = [...new Map(all.map((row) => [keyOf(row), row])).values()];
  const stored = isPool(db) ? await db.begin((tx) => upsert(tx, distinct, viewer)) : await upsert(db, distinct, viewer);
  const results = new Map(stored.map((result) => [keyOf(result), result]));
  return all.map((row) => {
    const { id, external_id: externalId, status, embedded } = results.get(keyOf(row))!;
    return { id, externalId, status, embedded };
  });
}

type Stored = Pick<Row, 'id' | 'collection' | 'external_id'> & Pick<UpsertedDocument, 'status' | 'embedded'>;

/** The conflict locks unchanged rows too, so the second statement of the same transaction finds them all. */
async function upsert(tx: Db, rows: Row[], viewer: Viewer | undefined): Promise<Stored[]> {
  const json = JSON.stringify(rows);
  await openCollections(tx, [...new Set(rows.map((row) => row.collection))], viewer);
  // In key order: two batches that share documents never wait for each other crosswise.
  const written = await tx<Omit<Stored, 'status'>[]>`
    INSERT INTO documents AS d (id, external_id, collection, title, text, metadata, content_hash)
    SELECT id, external_id, collection, title, text, metadata, content_hash
    FROM json_to_recordset(${json}::text::json) AS r(
      id uuid, external_id text, collection text, title text, text text, metadata jsonb, content_hash text)
    ORDER BY collection, external_id
    ON CONFLICT (collection, external_id) DO UPDATE SET
      title = excluded.title, text = excluded.text, metadata = excluded.metadata, content_hash = excluded.content_hash,
      embedding = CASE WHEN d.content_hash = excluded.content_hash THEN d.embedding END, updated_at = now()
    WHERE d.content_hash <> excluded.content_hash OR d.metadata <> excluded.metadata
    RETURNING id, collection, external_id, embedding IS NOT NULL AS embedded`;
  const proposed = new Set(rows.map((row) => row.id));
  const results: Stored[] = written.map((row) => ({ ...row, status: proposed.has(row.id) ? 'inserted' : 'updated' }));
  if (written.length === rows.length) return results;
  const unchanged = await tx<Omit<Stored, 'status'>[]>`
    SELECT d.id, d.collection, d.external_id, d.embedding IS NOT NULL AS embedded
    FROM json_to_recordset(${json}::text::json) AS r(collection text, external_id text)
    JOIN documents d USING (collection, external_id)
    WHERE d.id <> ALL (${written.map((row) => row.id)}::uuid[])`;
  return [...results, ...unchanged.map((row): Stored => ({ ...row, status: 'unchanged' }))];
}

/** Makes those that are not there, and sees to it that none of them ends before the transaction does. */
async function openCollections(tx: Db, names: string[], viewer: Viewer | undefined): Promise<void> {
  let there = await lockCollections(tx, names);
  while (there.length < names.length) {
    const missing = names.filter((name) => !there.includes(name));
    await tx`INSERT INTO collections (name) SELECT unnest(${missing}::text[]) ORDER BY 1 ON CONFLICT DO NOTHING`;
    there = await lockCollections(tx, names);
  }
  await mustSee(tx, names, viewer);
}

function toRow({ externalId, collection = defaultCollection, title = null, text, metadata = {} }: DocumentInput): Row {
  return {
    id: uuidv7(),
    external_id: externalId ?? null,
    collection,
    title,
    text,
    metadata,
    content_hash: contentHash({ title, text }),
  };
}

function keyOf(row: Pick<Row, 'id' | 'collection' | 'external_id'>): string {
  return row.external_id === null ? row.id : JSON.stringify([row.collection, row.external_id]);
}

function isPool(db: Db): db is Sql {
  return 'begin' in db;
}
