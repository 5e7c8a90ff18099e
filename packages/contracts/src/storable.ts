import type { FieldError } from './errors.ts';

const maxDepth = 20;

/**
 * What is wrong with `value` (parsed JSON) for Postgres' text and jsonb, which JSON itself allows: the character
 * U+0000, half a surrogate pair, nesting without end. Empty when it can be stored as it is.
 */
export function storableErrors(value: unknown, field: string, depth = 0): FieldError[] {
  if (typeof value === 'string') {
    const message = textError(value);
    return message === undefined ? [] : [{ field, message }];
  }
  if (typeof value !== 'object' || value === null) return [];
  if (depth === maxDepth) return [{ field, message: `must not be nested deeper than ${maxDepth} levels` }];
  return Object.entries(value).flatMap(([key, part]) => {
    const message = textError(key);
    return message === undefined
      ? storableErrors(part, `${field}.${key}`, depth + 1)
      : [{ field, message: `has a key that ${message}` }];
  });
}

function textError(text: string): string | undefined {
  if (text.includes('\0')) return 'must not contain the character U+0000';
  if (!text.isWellFormed()) return 'must be valid Unicode';
  return undefined;
}
