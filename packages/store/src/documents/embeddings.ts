import {
  invalidInput,
  type EmbeddingsAnswer,
  type EmbeddingsBody,
  type FieldError,
  type Viewer,
} from '@flowstate/contracts';
import type { Db, Sql } from '../client.ts';
import { deleteStaleChunks, findIncomplete, storeChunks } from './chunks.ts';
import { lockCollectionsOf, visibleTo } from './collections.ts';
import { fixModel } from './fix-model.ts';
import { nameHolder } from './model-holder.ts';
import { findReindexed, stageParts } from '../reindex/stage.ts';
import { toVector } from './vector-text.ts';

type Target = { id: string; collection: string; content_hash: string };

type Own = { target: Target; vector: readonly number[]; of: number; length: number | null };
type Status = EmbeddingsAnswer['items'][number]['status'];

const wholeText = { index: 0, of: 1, begin: 0, length: 0 };

/**
 * Stores embeddings computed from the content that `contentHash` names; a document that has changed meanwhile keeps
 * waiting for its own. The first embedding fixes a collection's model and dimension; a model has the same one in all
 * collections. Throws `invalid_input` naming the field for another model, another dimension or a vector without
 * direction; then nothing is stored. Of a text in parts
 * the first one comes last: it is `changed`, like other content, while other parts are missing. Documents that the
 * viewer does not see are `missing`. Those by the model that a collection is being reindexed by are kept beside the
 * others until it is done. Safe to repeat.
 */
export async function storeEmbeddings(sql: Sql, body: EmbeddingsBody, viewer?: Viewer): Promise<EmbeddingsAnswer> {
  const { items } = await sql.begin((tx) => storeEmbeddingsIn(tx, body, viewer));
  return { items };
}

/**
 * The same within the caller's transaction, which must not go on after an error. `changed`: the documents that had
 * another embedding before, or none.
 */
export async function storeEmbeddingsIn(
  tx: Db,
  { model, items }: EmbeddingsBody,
  viewer?: Viewer,
): Promise<EmbeddingsAnswer & { changed: ReadonlySet<string> }> {
  const vectors = items.map((item) => toUnit(item.embedding));
  refuse(
    vectors.flatMap((vector, i) =>
      vector === null ? [wrongVector(i, 'has no direction: all zeros or too large')] : [],
    ),
  );
  refuse(
    items.flatMap(({ chunk }, i) =>
      chunk !== undefined && chunk.index >= chunk.of
        ? [{ field: `items.${i}.chunk.index`, message: `must be below ${chunk.of}, the number of parts` }]
        : [],
    ),
  );
  const targets = await lockTargets(
    tx,
    items.map((item) => item.id),
    viewer,
  );
  const statuses = items.map(({ id, contentHash }): Status => {
    const target = targets.get(id);
    if (target === undefined) return 'missing';
    return target.content_hash === contentHash ? 'stored' : 'changed';
  });
  const all = items.flatMap((item, i) => {
    const target = targets.get(item.id);
    return statuses[i] === 'stored' && target !== undefined ? [{ i, target, vector: vectors[i] ?? [] }] : [];
  });
  const reindexed = await findReindexed(tx, [...new Set(all.map(({ target }) => target.collection))], model);
  const staged = all.filter(({ target }) => reindexed.has(target.collection));
  const taken = all.filter(({ target }) => !reindexed.has(target.collection));
  const collections = await fixModel(
    tx,
    model,
    taken.map(({ target, vector }) => [target.collection, vector.length]),
  );
  for (const { name, model: theirs } of collections.values()) {
    if (theirs === model) continue;
    throw invalidInput([
      { field: 'model', message: `must be ${theirs}: collection ${name} holds its embeddings, not those of ${model}` },
    ]);
  }
  const wanted = ({ target }: { target: Target }) => collections.get(target.collection)?.dimensions ?? 0;
  const wrong = taken.filter((one) => one.vector.length !== wanted(one));
  const errors: FieldError[] = [];
  for (const [dimensions, some] of Map.groupBy(wrong, wanted)) {
    const rule = `must have ${dimensions} dimensions, as all by ${model}`;
    const holder = await nameHolder(tx, { model, dimensions }, viewer);
    errors.push(...some.map(({ i, vector }) => wrongVector(i, `${rule} ${holder}, not ${vector.length}`)));
  }
  refuse(errors);
  await storeChunks(
    tx,
    taken.flatMap(({ i, target, vector }) => {
      const { chunk } = items[i] ?? {};
      if (chunk === undefined || chunk.index === 0) return [];
      return [{ ...chunk, documentId: target.id, contentHash: target.content_hash, vector }];
    }),
  );
  const unfinished = await stageParts(
    tx,
    model,
    staged.map(({ i, target, vector }) => {
      const { chunk = wholeText } = items[i] ?? {};
      const { id: documentId, collection, content_hash: contentHash } = target;
      return { ...chunk, item: i, documentId, collection, contentHash, vector };
    }),
  );
  const { incomplete, changed } = await storeOwn(
    tx,
    taken.flatMap(({ i, target, vector }) => {
      const { chunk = wholeText } = items[i] ?? {};
      return chunk.index > 0 ? [] : [{ target, vector, of: chunk.of, length: chunk.of > 1 ? chunk.length : null }];
    }),
  );
  for (const [i, { id, chunk = wholeText }] of items.entries()) {
    const lacking = incomplete.has(id) || unfinished.has(id);
    if (statuses[i] === 'stored' && chunk.index === 0 && lacking) statuses[i] = 'changed';
  }
  return { items: items.map(({ id }, i) => ({ id, status: statuses[i] ?? 'missing' })), changed };
}

/** The documents' own embeddings, for those that have all their other parts; answers the ids of the rest. */
async function storeOwn(tx: Db, all: Own[]): Promise<{ incomplete: Set<string>; changed: Set<string> }> {
  if (all.length === 0) return { incomplete: new Set(), changed: new Set() };
  const complete = all.map(({ target, of }) => ({ id: target.id, contentHash: target.content_hash, of }));
  const incomplete = await findIncomplete(tx, complete);
  const rows = all
    .filter(({ target }) => !incomplete.has(target.id))
    .map(({ target, vector, length }) => ({ id: target.id, embedding: toVector(vector), first_length: length }));
  await tx`DELETE FROM documents_without_parts WHERE document_id = ANY (${rows.map(({ id }) => id)})`;
  await deleteStaleChunks(
    tx,
    complete.filter(({ id }) => !incomplete.has(id)),
  );
  // Last: the collection's version rises with it, and until this commits its other writers wait.
  const updated = await tx<{ id: string; changed: boolean }[]>`
    UPDATE documents d SET embedding = r.embedding::vector, first_length = r.first_length
    FROM json_to_recordset(${JSON.stringify(rows)}::text::json) AS r(id uuid, embedding text, first_length int)
    JOIN documents before ON before.id = r.id
    WHERE d.id = r.id
    RETURNING d.id, before.embedding IS DISTINCT FROM d.embedding AS changed`;
  return { incomplete, changed: new Set(updated.filter((row) => row.changed).map(({ id }) => id)) };
}

/** Locks in the order in which upserts do, so that neither waits for the other crosswise. */
async function lockTargets(tx: Db, ids: string[], viewer: Viewer | undefined): Promise<Map<string, Target>> {
  await lockCollectionsOf(tx, ids);
  const rows = await tx<Target[]>`
    SELECT id, collection, content_hash FROM documents
    WHERE id = ANY(${ids}) AND collection IN (SELECT name FROM ${visibleTo(tx, viewer)})
    ORDER BY collection, external_id, id FOR NO KEY UPDATE`;
  return new Map(rows.map((row) => [row.id, row]));
}

/** Scaled to length 1, which cosine does not see and keeps every value within float4; null when that cannot be. */
function toUnit(vector: readonly number[]): number[] | null {
  const norm = Math.hypot(...vector);
  if (norm === 0 || !Number.isFinite(norm)) return null;
  // Nine digits are all a float4 has.
  return vector.map((x) => Number(Math.fround(x / norm).toPrecision(9)));
}

function wrongVector(i: number, message: string): FieldError {
  return { field: `items.${i}.embedding`, message };
}

function refuse(errors: FieldError[]): void {
  if (errors.length > 0) throw invalidInput(errors);
}
