import type { TSchema } from 'typebox';
import { FlowstateError } from './errors.ts';
import { createCheck } from './validate.ts';

export type InputChecks = {
  /** The input (JSON text) as the version takes it, its defaults filled in; or what is wrong with it. */
  check(
    version: { id: number; inputSchema: Record<string, unknown> },
    input: string,
  ): { input: string } | { problem: string };
};

/** Checks inputs against versions of workflows; each schema is compiled once, since a version never changes. */
export function createInputChecks(): InputChecks {
  const compiled = new Map<number, (input: unknown) => unknown>();
  return {
    check({ id, inputSchema }, input) {
      try {
        const check = compiled.get(id) ?? createCheck(inputSchema as TSchema, { root: 'input' });
        compiled.set(id, check);
        return { input: JSON.stringify(check(JSON.parse(input))) };
      } catch (error) {
        // A schema that does not compile is no reason to try again and again either.
        return { problem: error instanceof FlowstateError ? error.message : `its schema is broken (${String(error)})` };
      }
    },
  };
}
