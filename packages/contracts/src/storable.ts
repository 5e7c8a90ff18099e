import { invalidInput, type FieldError } from './errors.ts';

const maxDepth = 20;
/** A value full of mistakes is not answered by as many complaints. */
const maxErrors = 100;

/**
 * What of `value` (parsed JSON) would not be stored as it was sent, though JSON itself allows it: the character U+0000,
 * half a surrogate pair and nesting without end, which Postgres' text and jsonb do not take, and numbers that have
 * changed already when they were parsed. Empty when it can be stored as it is.
 */
export function storableErrors(value: unknown, field: string, depth = 0): FieldError[] {
  if (typeof value === 'string') {
    const message = textError(value);
    return message === undefined ? [] : [{ field, message }];
  }
  if (typeof value === 'number') return numberErrors(value, field);
  if (typeof value !== 'object' || value === null) return [];
  if (depth === maxDepth) return [{ field, message: `must not be nested deeper than ${maxDepth} levels` }];
  return Object.entries(value).flatMap(([key, part]) => {
    const message = textError(key);
    return message === undefined
      ? storableErrors(part, `${field}.${key}`, depth + 1)
      : [{ field, message: `has a key that ${message}` }];
  });
}

/**
 * Throws `invalid_input` naming the numbers of `value` (parsed JSON) that are no longer those that were sent: `1e400`
 * became Infinity, which JSON writes as null, and an integer beyond ±(2^53 - 1) of up to 21 digits the nearest double
 * (RFC 8259, section 6).
 */
export function checkNumbers(value: unknown, field: string): void {
  const errors: FieldError[] = [];
  // A list instead of recursion: what is only kept as JSON may be nested deeper than the stack is.
  const left = [{ value, field }];
  for (let one = left.pop(); one !== undefined; one = left.pop()) {
    if (typeof one.value === 'number') errors.push(...numberErrors(one.value, one.field));
    if (typeof one.value !== 'object' || one.value === null) continue;
    for (const [key, part] of Object.entries(one.value)) left.push({ value: part, field: `${one.field}.${key}` });
  }
  if (errors.length > 0) throw invalidInput(errors.toReversed().slice(0, maxErrors));
}

/** From here on nobody writes a number by its digits, nor does JavaScript: 6.02e23 is meant as what a double makes of it. */
const writtenAsPower = 1e21;

function numberErrors(value: number, field: string): FieldError[] {
  if (!Number.isFinite(value)) return [{ field, message: 'is beyond the numbers that can be kept: send it as text' }];
  if (!Number.isInteger(value) || Number.isSafeInteger(value) || Math.abs(value) >= writtenAsPower) return [];
  return [{ field, message: 'is an integer beyond ±9007199254740991, which is not kept exactly: send it as text' }];
}

function textError(text: string): string | undefined {
  if (text.includes('\0')) return 'must not contain the character U+0000';
  if (!text.isWellFormed()) return 'must be valid Unicode';
  return undefined;
}
