import { readFileSync } from 'node:fs';
import { coercingAjv, FlowstateError, invalidInput, toFieldErrors, type FieldError } from '@flowstate/contracts';
import type { Static, TObject } from 'typebox';
import { secretWeakness } from './secret-strength.ts';

/**
 * Reads a service's configuration from the environment by its schema: text becomes numbers and booleans,
 * defaults are filled in, and any `NAME` may come as `NAME_FILE` (the secret is that file's content).
 * Throws `invalid_input` naming every variable that is missing or wrong, or a secret that is none; values are never
 * printed.
 */
export function loadConfig<T extends TObject>(schema: T, env: NodeJS.ProcessEnv): Static<T> {
  const values: Record<string, string> = {};
  for (const name of Object.keys(schema.properties)) {
    const value = env[name] ?? readSecretFile(name, env[`${name}_FILE`]);
    // An empty variable means "not set", as in compose files and shells.
    if (value !== undefined && value !== '') values[name] = value;
  }
  const validate = coercingAjv.compile(schema);
  const errors = validate(values) ? weakSecrets(schema, values) : toFieldErrors(validate.errors ?? []);
  if (errors.length === 0) return values as Static<T>;
  throw invalidInput(errors);
}

/** A property of the schema says `secret: true`, or `secret: 'list'` for several with commas between. */
function weakSecrets(schema: TObject, values: Record<string, unknown>): FieldError[] {
  return Object.entries(schema.properties).flatMap(([field, property]) => {
    const { secret } = property as { secret?: true | 'list' };
    const value = values[field];
    if (secret === undefined || typeof value !== 'string') return [];
    const parts = secret === 'list' ? value.split(',').map((part) => part.trim()) : [value];
    const message = parts.filter(Boolean).map(secretWeakness).find(Boolean);
    return message === undefined ? [] : [{ field, message }];
  });
}

function readSecretFile(name: string, path: string | undefined): string | undefined {
  if (path === undefined || path === '') return undefined;
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw new FlowstateError('invalid_input', `${name}_FILE cannot be read: ${(cause as Error).message}`, { cause });
  }
}
