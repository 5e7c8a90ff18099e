import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import addFormats from 'ajv-formats';
import type { Static, TSchema } from 'typebox';
import { invalidInput, type FieldError } from './errors.ts';

const options = { allErrors: true, strict: false, useDefaults: true, removeAdditional: false } as const;

/** JSON bodies: types are taken as they come, defaults are filled in. */
export const strictAjv = addFormats.default(new Ajv({ ...options }));

/**
 * Query strings, CSV cells and environment variables: text is converted to the schema's type. These schemas are all our
 * own: compiling the one that schemas themselves are checked by would be a tenth of a service's start.
 */
export const coercingAjv = addFormats.default(new Ajv({ ...options, coerceTypes: 'array', validateSchema: false }));

const maxFieldErrors = 100;

/** Turns Ajv's errors into `{field, message}`; `root` names the thing checked (`input`, `body`). */
export function toFieldErrors(errors: readonly ErrorObject[], root = ''): FieldError[] {
  const named = errors
    // The branches of an anyOf/oneOf say nothing a person can act on; their parts' errors do.
    .filter((e, _, all) => !(['anyOf', 'oneOf', 'if', 'propertyNames'].includes(e.keyword) && all.length > 1))
    .map((e) => ({ field: fieldOf(e, root), message: messageOf(e, errors) }));
  const seen = new Set<string>();
  const distinct = named.filter(({ field, message }) => {
    const key = `${field} ${message}`;
    return !seen.has(key) && seen.add(key);
  });
  // A body full of mistakes (an array of a thousand) is not answered by as many complaints.
  return distinct.slice(0, maxFieldErrors);
}

function fieldOf(error: ErrorObject, root: string): string {
  const path = error.instancePath.split('/').filter(Boolean);
  if (root) path.unshift(root);
  const own = error.params as { missingProperty?: string; additionalProperty?: string };
  const last = own.missingProperty ?? own.additionalProperty ?? error.propertyName;
  if (last !== undefined) path.push(last);
  return path.map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~')).join('.') || 'body';
}

function messageOf(error: ErrorObject, all: readonly ErrorObject[]): string {
  if (error.propertyName !== undefined) return 'is no name: letters and digits, then also spaces and _ . : / @ -';
  if (error.keyword === 'required') {
    const instead = alternativesTo(error, all);
    return instead.length === 0 ? 'is required' : `is required, unless ${instead.join(' or ')} is given`;
  }
  if (isEmpty(error)) return 'must not be empty';
  if (error.keyword === 'additionalProperties') return 'is not known here';
  if (error.keyword === 'enum') {
    const { allowedValues } = error.params as { allowedValues: unknown[] };
    return `must be one of ${allowedValues.join(', ')}`;
  }
  if (error.keyword === 'type') {
    const { type } = error.params as { type: string | string[] };
    return `must be ${[type]
      .flat()
      .filter((name) => name !== 'null')
      .join(' or ')}`;
  }
  return error.message ?? 'is invalid';
}

/** Where the branches of an anyOf want a field each, any of these will do. */
function alternativesTo(error: ErrorObject, all: readonly ErrorObject[]): string[] {
  const branches = /^.*\/anyOf\/(?=\d+\/required$)/.exec(error.schemaPath)?.[0];
  if (branches === undefined) return [];
  return all
    .filter(({ keyword, instancePath, schemaPath }) => {
      const beside = schemaPath.startsWith(branches) && schemaPath !== error.schemaPath;
      return keyword === 'required' && instancePath === error.instancePath && beside;
    })
    .map(({ params }) => (params as { missingProperty: string }).missingProperty);
}

/** A text without a character, or without a visible one. */
function isEmpty({ keyword, params }: ErrorObject): boolean {
  const { limit, pattern } = params as { limit?: number; pattern?: string };
  return (keyword === 'minLength' && limit === 1) || (keyword === 'pattern' && pattern === '\\S');
}

/**
 * Makes a check of one schema, which is compiled once, when it is first needed. The returned function gives the typed value back or throws
 * `invalid_input` naming every field that is wrong. `coerce` converts text (query, CSV, environment).
 */
export function createCheck<T extends TSchema>(
  schema: T,
  { root = '', coerce = false }: { root?: string; coerce?: boolean } = {},
): (value: unknown) => Static<T> {
  let validate: ValidateFunction | undefined;
  return (value) => {
    validate ??= (coerce ? coercingAjv : strictAjv).compile(schema);
    if (validate(value)) return value as Static<T>;
    throw invalidInput(toFieldErrors(validate.errors ?? [], root));
  };
}

/**
 * Checks `value` against a schema that somebody sent; answers it with defaults filled in. Compiled each time, so that
 * schemas that come and go leave nothing behind. Throws `invalid_input` naming every field, or `schema` when that is none.
 */
export function checkOnce(
  schema: Record<string, unknown>,
  value: unknown,
  { root, schemaField = 'schema' }: Names,
): unknown {
  const own = structuredClone(value); // defaults are written into it
  const validate = compileOnce(schema, schemaField);
  if (validate(own)) return own;
  throw invalidInput(toFieldErrors(validate.errors ?? [], root));
}

type Names = { root: string; schemaField?: string };

function compileOnce(schema: Record<string, unknown>, field: string) {
  try {
    return addFormats.default(new Ajv({ ...options })).compile(schema);
  } catch (error) {
    throw invalidInput([
      { field, message: `is no JSON Schema (${error instanceof Error ? error.message : 'broken'})` },
    ]);
  }
}
