import { AnyId, defaultCollection, EmbeddedDocumentInput, type Viewer } from '@flowstate/contracts';
import { NoCollectionError, type Db, type UpsertedDocument } from '@flowstate/store';
import Type from 'typebox';
import { unpairedErrors } from '../documents/document-batch.ts';
import { storeGiven, type RefusedRow } from '../documents/store-given.ts';
import type { ImportTarget } from './targets.ts';

// Without one, importing the file again would double its documents.
const KeyedDocument = Type.Object(
  { ...EmbeddedDocumentInput.properties, externalId: AnyId },
  { additionalProperties: false },
);

type Keyed = EmbeddedDocumentInput & { externalId: string };

/** Documents that may bring their embedding; one that does not fit, or is not for its sender to write, is refused alone. */
export const documentTarget: ImportTarget<Keyed> = {
  schema: KeyedDocument,
  batchRows: 64, // texts are long
  key: ({ collection, externalId }) => JSON.stringify([collection, externalId]),
  check: (row) => unpairedErrors(row, ''),
  async write(db, rows, viewer) {
    const refused: RefusedRow[] = [];
    let left = [...rows.keys()];
    // Each time only what was wrong with the rows so far: another kind of fault may show when those are gone.
    for (;;) {
      const now = left;
      const answer = await store(
        db,
        now.map((row) => rows[row] as Keyed),
        viewer,
      );
      if ('documents' in answer) return outcomesOf(rows.length, now, answer.documents, refused);
      const wrong = answer.refused.map(({ row, errors }) => ({ row: now[row] ?? 0, errors }));
      refused.push(...wrong);
      const gone = new Set(wrong.map(({ row }) => row));
      left = now.filter((row) => !gone.has(row));
    }
  },
};

async function store(db: Db, rows: Keyed[], viewer: Viewer): ReturnType<typeof storeGiven> {
  try {
    return await storeGiven(db, rows, viewer);
  } catch (error) {
    if (!(error instanceof NoCollectionError)) throw error;
    const errors = error.errors ?? [];
    const refused = rows.flatMap(({ collection = defaultCollection }, row) =>
      collection === error.collection ? [{ row, errors }] : [],
    );
    return { refused };
  }
}

function outcomesOf(
  count: number,
  written: readonly number[],
  documents: UpsertedDocument[],
  refused: readonly RefusedRow[],
) {
  const statuses = new Map(written.map((row, i) => [row, documents[i]?.status ?? 'unchanged']));
  const errors = new Map(refused.map((row) => [row.row, row.errors]));
  return {
    outcomes: Array.from({ length: count }, (_, row) => statuses.get(row) ?? { errors: errors.get(row) ?? [] }),
    documents,
  };
}
