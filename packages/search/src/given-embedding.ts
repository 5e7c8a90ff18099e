import { createHash } from 'node:crypto';
import { invalidInput, type FieldError } from '@flowstate/contracts';
import { normaliseQuery } from './cache-key.ts';

/** What is looked for: `query` as the cache key has it, and the embedding if it was given. */
export type Asked = { query: string; embedding?: readonly number[] };

type Given = { query?: string | undefined; embedding?: readonly number[] | undefined };

/** Reads what a search is asked by, a text or an embedding. Answers what is wrong with it beside. */
export function readAsked({ query, embedding }: Given): {
  asked: Asked;
  errors: FieldError[];
} {
  if (embedding === undefined) {
    const text = query === undefined ? '' : normaliseQuery(query);
    const message = query === undefined ? 'is required, or embedding' : 'is empty';
    return { asked: { query: text }, errors: text === '' ? [{ field: 'query', message }] : [] };
  }
  const norm = Math.hypot(...embedding);
  const errors: FieldError[] = [];
  if (query !== undefined) errors.push({ field: 'embedding', message: 'must not be given beside query' });
  if (norm === 0 || !Number.isFinite(norm)) {
    errors.push({ field: 'embedding', message: 'has no direction: all zeros or too large' });
  }
  // Length 1, which cosine does not see, keeps every value within what pgvector stores.
  const unit = Float32Array.from(embedding, (x) => x / norm);
  const hash = createHash('sha256').update(unit).digest('base64url');
  return { asked: { query: `embedding:${hash}`, embedding: [...unit] }, errors };
}

/** Throws `invalid_input` for a given embedding that is not of the dimension searched. */
export function checkDimensions(embedding: readonly number[], dimensions: number | null): void {
  if (dimensions === null || embedding.length === dimensions) return;
  throw invalidInput([{ field: 'embedding', message: `must have ${dimensions} dimensions, not ${embedding.length}` }]);
}
