import { hash } from 'node:crypto';
import { invalidInput, type FieldError } from '@flowstate/contracts';
import { normaliseQuery } from './cache-key.ts';

/** What is looked for: `query` as the cache key has it, and the embedding if it was given. */
export type Asked = { query: string; embedding?: ArrayLike<number> };

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
  const { unit, norm } = toUnit(embedding);
  const errors: FieldError[] = [];
  if (query !== undefined) errors.push({ field: 'embedding', message: 'must not be given beside query' });
  if (norm === 0 || !Number.isFinite(norm)) {
    errors.push({ field: 'embedding', message: 'has no direction: all zeros or too large' });
  }
  return { asked: { query: `embedding:${hash('sha256', unit, 'base64url')}`, embedding: unit }, errors };
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

/** Throws `invalid_input` for a given embedding that is not of the dimension searched. */
export function checkDimensions(embedding: ArrayLike<number>, dimensions: number | null): void {
  if (dimensions === null || embedding.length === dimensions) return;
  throw invalidInput([{ field: 'embedding', message: `must have ${dimensions} dimensions, not ${embedding.length}` }]);
}
