import {
  defaultCollection,
  FlowstateError,
  type EmbeddedDocumentInput,
  type FieldError,
  type Viewer,
} from '@flowstate/contracts';
import {
  contentHash,
  noteAwaitingRun,
  storeEmbeddingsIn,
  upsertDocuments,
  type Db,
  type UpsertedDocument,
} from '@flowstate/store';
import { lengthErrors, type EmbeddingModels } from './model-dimensions.ts';
import type { RefusedRow } from './refused-row.ts';
import { unembeddableRows } from './unembeddable-rows.ts';

type Transaction = Extract<Db, { savepoint: unknown }>;

/**
 * Stores documents and the embeddings they bring along: all of it or nothing. Answers what was stored, or which rows
 * have an embedding that does not fit: another model or dimension than their collection has, a length that its model's
 * never have, or no direction; or which bring none although nothing here embeds by their collection's model.
 */
export async function storeGiven(
  db: Db,
  rows: readonly EmbeddedDocumentInput[],
  viewer: Viewer,
  models: EmbeddingModels,
): Promise<{ documents: UpsertedDocument[] } | { refused: RefusedRow[] }> {
  const refused: RefusedRow[] = [];
  for (const [row, document] of rows.entries()) {
    const errors = await lengthErrors(models, document);
    if (errors.length > 0) refused.push({ row, errors });
  }
  if (refused.length > 0) return { refused };
  const refusal = new Error('an embedding does not fit');
  const store = async (tx: Transaction) => {
    const stored = await upsertDocuments(
      tx,
      rows.map(({ embedding: _embedding, model: _model, ...row }) => row),
      viewer,
    );
    const embedded = new Set<number>();
    const changed = new Set<string>();
    for (const group of groupsOf(rows)) {
      const answer = await storeGroup(tx, group, { rows, stored, viewer });
      refused.push(...answer.refused);
      for (const row of group.numbers) embedded.add(row);
      for (const id of answer.changed) changed.add(id);
    }
    // Of collections whose models are what they will be.
    if (refused.length === 0) refused.push(...(await unembeddableRows(tx, { rows, stored, viewer }, models)));
    if (refused.length > 0) throw refusal; // undoes what fits too
    const documents = stored.map((document, row): UpsertedDocument => {
      const status = document.status === 'unchanged' && changed.has(document.id) ? 'updated' : document.status;
      return { ...document, status, embedded: document.embedded || embedded.has(row) };
    });
    const lacking = documents.filter((document) => !document.embedded).map(({ id }) => id);
    await noteAwaitingRun(tx, [...new Set(lacking)], viewer);
    return documents;
  };
  try {
    return { documents: await ('begin' in db ? db.begin(store) : db.savepoint(store)) };
  } catch (error) {
    if (error === refusal) return { refused };
    throw error;
  }
}

/** Stores the embeddings of one group. Where something is wrong with them the transaction is as it was before. */
async function storeGroup(
  tx: Transaction,
  { model, numbers }: Group,
  {
    rows,
    stored,
    viewer,
  }: { rows: readonly EmbeddedDocumentInput[]; stored: readonly UpsertedDocument[]; viewer: Viewer },
): Promise<{ refused: RefusedRow[]; changed: ReadonlySet<string> }> {
  const items = numbers.map((row) => ({
    id: stored[row]?.id ?? '',
    contentHash: contentHash(rows[row] ?? { text: '' }),
    embedding: rows[row]?.embedding ?? [],
  }));
  try {
    const { changed } = await tx.savepoint((savepoint) => storeEmbeddingsIn(savepoint, { model, items }, viewer));
    return { refused: [], changed };
  } catch (error) {
    if (!(error instanceof FlowstateError) || error.errors === undefined) throw error;
    return { refused: refusedBy(error.errors, numbers), changed: new Set() };
  }
}

type Group = { model: string; numbers: number[] };

/** Rows of one collection and model each: a complaint about the model is true of all of them. */
function groupsOf(rows: readonly EmbeddedDocumentInput[]): Group[] {
  const groups = new Map<string, Group>();
  for (const [row, { collection = defaultCollection, model }] of rows.entries()) {
    if (model === undefined) continue;
    const key = JSON.stringify([collection, model]);
    const group = groups.get(key) ?? { model, numbers: [] };
    group.numbers.push(row);
    groups.set(key, group);
  }
  return [...groups.values()];
}

/** `items.2.embedding` is the third row's `embedding`; what names no item is said of each row. */
function refusedBy(errors: readonly FieldError[], numbers: readonly number[]): RefusedRow[] {
  return errors.flatMap(({ field, message }) => {
    const [, item, rest = field] = /^items\.(\d+)\.(.*)$/.exec(field) ?? [];
    const concerned = item === undefined ? numbers : numbers.slice(Number(item), Number(item) + 1);
    return concerned.map((row) => ({ row, errors: [{ field: rest, message }] }));
  });
}
