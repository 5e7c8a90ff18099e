import { hash } from 'node:crypto';
import { invalidInput, storableErrors, type FieldError, type SemanticBody } from '@flowstate/contracts';
import { normaliseQuery } from './cache-key.ts';
import type { Models, SearchScope } from './search-scope.ts';

export type Asked = {
  /** The text as the cache key has it, or what stands for the embedding there. */
  query: string;
  /** null: the query's is to be computed. */
  embedding: ArrayLike<number> | null;
  models: Models;
  /** The only collection to search. */
  within: string | undefined;
};

type Body = Pick<SemanticBody, 'query' | 'embedding' | 'model' | 'collection'>;
type OurModels = Pick<Models, 'first'> & { known: readonly string[] };

/** Reads what a search is asked by, a text or an embedding. Answers what is wrong with it beside. */
export function readAsked(body: Body, ours: OurModels): { asked: Asked; errors: FieldError[] } {
  return body.embedding === undefined ? readText(body, ours) : readEmbedding(body, body.embedding, ours);
}

function readText({ query, model, collection: within }: Body, ours: OurModels) {
  const text = query === undefined ? '' : normaliseQuery(query);
  const errors = storableErrors(query, 'query');
  if (query === undefined) errors.push({ field: 'query', message: 'is required, or embedding' });
  else if (text === '') errors.push({ field: 'query', message: 'is empty' });
  if (model !== undefined && !ours.known.includes(model)) {
    const message = `must be one of ${ours.known.join(', ')}: nothing here embeds queries by another`;
    errors.push({ field: 'model', message });
  }
  return { asked: { query: text, embedding: null, models: modelsOf(model, ours), within }, errors };
}

function readEmbedding({ query, model, collection: within }: Body, embedding: readonly number[], ours: OurModels) {
  const { unit, norm } = toUnit(embedding);
  const errors = storableErrors(model, 'model');
  if (query !== undefined) errors.push({ field: 'embedding', message: 'must not be given beside query' });
  if (norm === 0 || !Number.isFinite(norm)) {
    errors.push({ field: 'embedding', message: 'has no direction: all zeros or too large' });
  }
  // It was made elsewhere: whether anything here embeds by that model does not matter.
  const models = modelsOf(model, within === undefined ? ours : { known: 'any', first: ours.first });
  const asked = { query: `embedding:${hash('sha256', unit, 'base64url')}`, embedding: unit, models, within };
  return { asked, errors };
}

function modelsOf(model: string | undefined, others: Models): Models {
  if (model !== undefined) return { known: [model], first: model, named: true };
  return { known: others.known, first: others.first };
}

/** Length 1, which cosine does not see, keeps every value within what pgvector stores. */
function toUnit(embedding: readonly number[]): { unit: Float32Array; norm: number } {
  let squares = 0;
  for (const x of embedding) squares += x * x;
  // Squares of what is very small or large are out of range, where their root is not: `hypot` knows how.
  const norm = squares > 1e-200 && squares < 1e200 ? Math.sqrt(squares) : Math.hypot(...embedding);
  const unit = new Float32Array(embedding.length);
  for (let i = 0; i < unit.length; i += 1) unit[i] = (embedding[i] as number) / norm;
  return { unit, norm };
}

/**
 * Throws `invalid_input` for a given embedding of another dimension than what is searched, or than `expected` where
 * nothing is.
 */
export function checkDimensions(
  embedding: ArrayLike<number>,
  { collections }: SearchScope,
  expected: number | null,
): void {
  const there = new Set(collections.map(({ dimensions }) => dimensions));
  if (there.size === 0) there.add(expected);
  if (there.has(embedding.length) || there.has(null)) return;
  const message = `must have ${[...there].join(' or ')} dimensions, not ${embedding.length}`;
  throw invalidInput([{ field: 'embedding', message }]);
}
