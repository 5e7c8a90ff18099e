import { createCheck, FlowstateError } from '@flowstate/contracts';
import type { TSchema } from 'typebox';
import type { Grade } from './grade.ts';

/** Does the output have the shape its workflow's version publishes? All or nothing. */
export function createSchemaGrader(schema: unknown): (output: unknown) => Grade {
  const check = createCheck(schema as TSchema, { root: 'output' });
  return (output) => {
    try {
      check(structuredClone(output));
      return { score: 1, faults: [] };
    } catch (error) {
      if (!(error instanceof FlowstateError)) throw error;
      return { score: 0, faults: (error.errors ?? []).map(({ field, message }) => `${field} ${message}`) };
    }
  };
}
