import { defaultCollection, type EmbeddedDocumentInput, type Viewer } from '@flowstate/contracts';
import { findCollections, type Db, type UpsertedDocument } from '@flowstate/store';
import type { EmbeddingModels } from './model-dimensions.ts';
import type { RefusedRow } from './refused-row.ts';

type Stored = { rows: readonly EmbeddedDocumentInput[]; stored: readonly UpsertedDocument[]; viewer: Viewer };

/** Rows that still need an embedding, by a model that nothing here embeds by: their run could only fail. */
export async function unembeddableRows(
  tx: Db,
  { rows, stored, viewer }: Stored,
  { models }: EmbeddingModels,
): Promise<RefusedRow[]> {
  const lacking = [...rows.entries()].filter(([row, document]) => {
    return document.embedding === undefined && stored[row]?.embedded === false;
  });
  if (lacking.length === 0) return [];
  const names = new Set(lacking.map(([, { collection = defaultCollection }]) => collection));
  const collections = await findCollections(tx, [...names], viewer);
  const foreign = new Map(
    collections.flatMap(({ name, model }) => (model === null || models.includes(model) ? [] : [[name, model]])),
  );
  return lacking.flatMap(([row, { collection = defaultCollection }]) => {
    const model = foreign.get(collection);
    if (model === undefined) return [];
    const message = `is required: nothing here embeds by ${model}, the model of collection ${collection}`;
    return [{ row, errors: [{ field: 'embedding', message }] }];
  });
}
