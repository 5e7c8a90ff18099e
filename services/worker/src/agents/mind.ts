import { FlowstateError, Nullable, OneOf } from '@flowstate/contracts';
import { StepError } from '@flowstate/workflow';
import Type, { type Static } from 'typebox';

const Mind = OneOf(['model', 'offline'], {
  default: 'model',
  description: '`offline`: as if no language model were configured',
});
export type Mind = Static<typeof Mind>;

/** Field of a workflow's input that asks to do without the language model. */
export const mindField = { mind: Type.Optional(Mind) };

/** Fields of an output that say who wrote it, and what a model had to do with it. */
export const authorship = {
  writtenBy: OneOf(['model', 'template']),
  dropped: Type.Integer({ description: 'sentences of the model that nothing supports; they were left out' }),
  modelFailure: Nullable(
    Type.String({ description: 'error code, where a model was asked and came to nothing that could be used' }),
  ),
};

export const byTemplate = { writtenBy: 'template', dropped: 0, modelFailure: null } as const;

/** What became of asking a model: its answer, that there is none to ask (null), or why it failed. */
export type Asked<T> = { answer: T | null; modelFailure: string | null };

/**
 * The answer of a model that may be done without: where there is none, nobody wants it (`offline`) or it fails for good,
 * the caller goes on without. What is not on record as a step's failure (a run that is to stop) is thrown on.
 */
export async function askIfPossible<T>(mind: Mind, ask: () => Promise<T | null>): Promise<Asked<T>> {
  if (mind === 'offline') return { answer: null, modelFailure: null };
  try {
    return { answer: await ask(), modelFailure: null };
  } catch (error) {
    const cause = error instanceof StepError ? error.cause : error;
    if (cause instanceof FlowstateError) return { answer: null, modelFailure: cause.code };
    if (error instanceof StepError) return { answer: null, modelFailure: 'step_error' };
    throw error;
  }
}
