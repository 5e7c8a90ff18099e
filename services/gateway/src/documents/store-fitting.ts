import { defaultCollection, type EmbeddedDocumentInput, type Viewer } from '@flowstate/contracts';
import { NoCollectionError, type Db, type UpsertedDocument } from '@flowstate/store';
import type { EmbeddingModels } from './model-dimensions.ts';
import type { RefusedRow } from './refused-row.ts';
import { storeGiven } from './store-given.ts';

type Fitting = {
  /** By the row's place. */
  stored: Map<number, UpsertedDocument>;
  refused: RefusedRow[];
};

/** Stores what fits; a row whose embedding does not, or whose collection is not its sender's to write, is refused alone. */
export async function storeFitting(
  db: Db,
  rows: readonly EmbeddedDocumentInput[],
  viewer: Viewer,
  models: EmbeddingModels,
): Promise<Fitting> {
  const refused: RefusedRow[] = [];
  let left = [...rows.entries()];
  // Each time only what was wrong with the rows so far: another kind of fault may show when those are gone.
  while (left.length > 0) {
    const now = left;
    const answer = await store(
      db,
      now.map(([, row]) => row),
      viewer,
      models,
    );
    if ('documents' in answer) {
      return { stored: new Map(answer.documents.map((document, i) => [now[i]?.[0] ?? 0, document])), refused };
    }
    const wrong = answer.refused.map(({ row, errors }) => ({ row: now[row]?.[0] ?? 0, errors }));
    refused.push(...wrong);
    const gone = new Set(wrong.map(({ row }) => row));
    left = now.filter(([row]) => !gone.has(row));
  }
  return { stored: new Map(), refused };
}

async function store(...asked: Parameters<typeof storeGiven>): ReturnType<typeof storeGiven> {
  const [, rows] = asked;
  try {
    return await storeGiven(...asked);
  } catch (error) {
    if (!(error instanceof NoCollectionError)) throw error;
    const errors = error.errors ?? [];
    const refused = rows.flatMap(({ collection = defaultCollection }, row) =>
      collection === error.collection ? [{ row, errors }] : [],
    );
    return { refused };
  }
}
