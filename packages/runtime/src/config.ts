import { readFileSync } from 'node:fs';
import { coercingAjv, FlowstateError, toFieldErrors } from '@flowstate/contracts';
import type { Static, TObject } from 'typebox';

/**
 * Reads a service's configuration from the environment by its schema: text becomes numbers and booleans,
 * defaults are filled in, and any `NAME` may come as `NAME_FILE` (the secret is that file's content).
 * Throws `invalid_input` naming every variable that is missing or wrong; values are never printed.
 */
export function loadConfig<T extends TObject>(schema: T, env: NodeJS.ProcessEnv): Static<T> {
  const values: Record<string, string> = {};
  for (const name of Object.keys(schema.properties)) {
    const value = env[name] ?? readSecretFile(name, env[`${name}_FILE`]);
    // An empty variable means "not set", as in compose files and shells.
    if (value !== undefined && value !== '') values[name] = value;
  }
  const validate = coercingAjv.compile(schema);
  if (validate(values)) return values as Static<T>;
  const errors = toFieldErrors(validate.errors ?? []);
  throw new FlowstateError('invalid_input', errors.map((e) => `${e.field} ${e.message}`).join('; '), { errors });
}

function readSecretFile(name: string, path: string | undefined): string | undefined {
  if (path === undefined || path === '') return undefined;
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw new FlowstateError('invalid_input', `${name}_FILE cannot be read: ${(cause as Error).message}`, { cause });
  }
}
