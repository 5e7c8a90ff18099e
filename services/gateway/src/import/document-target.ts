import { AnyId, EmbeddedDocumentInput } from '@flowstate/contracts';
import Type from 'typebox';
import { documentErrors } from '../documents/document-batch.ts';
import type { EmbeddingModels } from '../documents/model-dimensions.ts';
import { storeFitting } from '../documents/store-fitting.ts';
import type { ImportTarget } from './import-target.ts';

// Without one, importing the file again would double its documents.
const KeyedDocument = Type.Object(
  { ...EmbeddedDocumentInput.properties, externalId: AnyId },
  { additionalProperties: false },
);

type Keyed = EmbeddedDocumentInput & { externalId: string };

/** Documents that may bring their embedding; one that does not fit, or is not for its sender to write, is refused alone. */
export function createDocumentTarget(models: EmbeddingModels): ImportTarget<Keyed> {
  return {
    schema: KeyedDocument,
    batchRows: 64, // texts are long
    key: ({ collection, externalId }) => JSON.stringify([collection, externalId]),
    check: documentErrors,
    async write(db, rows, viewer) {
      const { stored, refused } = await storeFitting(db, rows, viewer, models);
      const errors = new Map(refused.map((row) => [row.row, row.errors]));
      const outcomeOf = (row: number) => stored.get(row)?.status ?? { errors: errors.get(row) ?? [] };
      return { outcomes: rows.map((_, row) => outcomeOf(row)), documents: [...stored.values()] };
    },
  };
}
