import { invalidInput, type EmbeddedDocumentInput, type EmbeddingsBody, type FieldError } from '@flowstate/contracts';
import type { Search } from '@flowstate/search';

/** What is embedded here, and how long such embeddings are. */
export type EmbeddingModels = Pick<Search, 'models' | 'dimensionsOf'>;

/**
 * What is wrong with a given embedding by itself, before any collection is looked at: of a model that is known here, a
 * length that this model's never have. Throws what its embedder throws when it has to be asked.
 */
export async function lengthErrors(
  models: EmbeddingModels,
  { model, embedding }: Pick<EmbeddedDocumentInput, 'model' | 'embedding'>,
  field = 'embedding',
): Promise<FieldError[]> {
  if (model === undefined || embedding === undefined) return [];
  const dimensions = await models.dimensionsOf(model);
  if (dimensions === null || dimensions === embedding.length) return [];
  return [{ field, message: `must have ${dimensions} dimensions, as all by ${model}, not ${embedding.length}` }];
}

/** Throws `invalid_input` naming each embedding of a wrong length. */
export async function checkLengths(models: EmbeddingModels, { model, items }: EmbeddingsBody): Promise<void> {
  const errors = await Promise.all(
    items.map(({ embedding }, i) => lengthErrors(models, { model, embedding }, `items.${i}.embedding`)),
  );
  if (errors.some((some) => some.length > 0)) throw invalidInput(errors.flat());
}
