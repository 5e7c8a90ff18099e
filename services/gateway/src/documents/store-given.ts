import {
  defaultCollection,
  FlowstateError,
  invalidInput,
  type EmbeddedDocumentInput,
  type FieldError,
  type Viewer,
} from '@flowstate/contracts';
import { contentHash, storeEmbeddingsIn, upsertDocuments, type Sql, type UpsertedDocument } from '@flowstate/store';

/**
 * Stores documents and the embeddings they bring along: all of it or nothing. `prefixOf` names a row in errors. Throws
 * `invalid_input` for another model or dimension than the collection has.
 */
export async function storeGiven(
  sql: Sql,
  rows: readonly EmbeddedDocumentInput[],
  prefixOf: (row: number) => string,
  viewer: Viewer,
): Promise<UpsertedDocument[]> {
  return await sql.begin(async (tx) => {
    const stored = await upsertDocuments(
      tx,
      rows.map(({ embedding: _embedding, model: _model, ...row }) => row),
      viewer,
    );
    const embedded = new Set<number>();
    for (const { model, numbers } of groupsOf(rows)) {
      const items = numbers.map((row) => ({
        id: stored[row]?.id ?? '',
        contentHash: contentHash(rows[row] ?? { text: '' }),
        embedding: rows[row]?.embedding ?? [],
      }));
      try {
        await storeEmbeddingsIn(tx, { model, items }, viewer);
      } catch (error) {
        throw named(error, numbers.map(prefixOf));
      }
      for (const row of numbers) embedded.add(row);
    }
    return stored.map((document, row) => (embedded.has(row) ? { ...document, embedded: true } : document));
  });
}

/** Rows of one collection and model each, so that a complaint about the model names a row it is true of. */
function groupsOf(rows: readonly EmbeddedDocumentInput[]): { model: string; numbers: number[] }[] {
  const groups = new Map<string, { model: string; numbers: number[] }>();
  for (const [row, { collection = defaultCollection, model }] of rows.entries()) {
    if (model === undefined) continue;
    const key = JSON.stringify([collection, model]);
    const group = groups.get(key) ?? { model, numbers: [] };
    group.numbers.push(row);
    groups.set(key, group);
  }
  return [...groups.values()];
}

/** The same complaint by the row's own name. */
function named(error: unknown, prefixes: string[]): unknown {
  if (!(error instanceof FlowstateError) || error.errors === undefined) return error;
  const errors = error.errors.map(({ field, message }): FieldError => {
    const [, item = '0', rest = field] = /^items\.(\d+)\.(.*)$/.exec(field) ?? [];
    return { field: `${prefixes[Number(item)] ?? ''}${rest}`, message };
  });
  return invalidInput(errors);
}
