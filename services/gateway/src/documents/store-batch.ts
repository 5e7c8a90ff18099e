import { invalidInput, type ImportRejection, type Viewer } from '@flowstate/contracts';
import type { Db, UpsertedDocument } from '@flowstate/store';
import { readDocuments, rejection } from './document-batch.ts';
import type { EmbeddingModels } from './model-dimensions.ts';
import { storeFitting } from './store-fitting.ts';

/** A batch with a thousand mistakes is not answered by as many complaints. */
const maxComplaints = 100;

/**
 * Stores the good documents of a batch, in its order, and tells of each other one what is wrong. Throws
 * `invalid_input` naming each, such as `documents.3.text`, when there is no good one.
 */
export async function storeBatch(
  db: Db,
  batch: readonly unknown[],
  viewer: Viewer,
  models: EmbeddingModels,
): Promise<{ documents: UpsertedDocument[]; rejections: ImportRejection[] }> {
  const { good, rejections } = readDocuments(batch);
  const { stored, refused } = await storeFitting(
    db,
    good.map(({ document }) => document),
    viewer,
    models,
  );
  for (const { row, errors } of refused) {
    const line = good[row]?.line ?? 0;
    rejections.push(rejection(line, batch[line - 1], errors));
  }
  rejections.sort((a, b) => a.line - b.line);
  if (stored.size === 0) throw noneIsGood(rejections);
  return { documents: [...stored.values()], rejections };
}

function noneIsGood(rejections: readonly ImportRejection[]) {
  const named = rejections.flatMap(({ line, errors }) =>
    errors.map(({ field, message }) => ({
      field: field === 'row' ? `documents.${line - 1}` : `documents.${line - 1}.${field}`,
      message,
    })),
  );
  return invalidInput(named.slice(0, maxComplaints));
}
