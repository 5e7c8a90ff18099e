import { FlowstateError, type RunError } from '@flowstate/contracts';
import { NonDeterminismError, StepError } from './interrupt.ts';

/** Tries of the failed step that the run's error keeps: the last ones. */
const maxTries = 20;

/** Why a run failed, as the API shows it: code, message, step, its tries, and where in the code. */
export function toRunError(error: unknown): RunError {
  const failed = failedStep(error);
  const cause = failed === undefined || error instanceof FlowstateError ? error : failed.cause;
  const stack = cause instanceof Error ? cause.stack : undefined;
  return {
    code: codeOf(error, cause),
    message: cause instanceof Error ? cause.message : String(cause),
    ...(failed && { step: failed.step, attempts: failed.tries.slice(-maxTries) }),
    ...(stack !== undefined && { stack }),
  };
}

/** The step an error comes from, also where it was made into one with a code. */
function failedStep(error: unknown): StepError | undefined {
  if (error instanceof StepError) return error;
  return error instanceof FlowstateError && error.cause instanceof StepError ? error.cause : undefined;
}

/** May the same run succeed when it goes on from its failed step? */
export function isWorthRetrying(error: unknown): boolean {
  const cause = error instanceof StepError ? error.cause : error;
  if (error instanceof NonDeterminismError) return false;
  return !(cause instanceof FlowstateError) || cause.retryable;
}

function codeOf(error: unknown, cause: unknown): string {
  if (cause instanceof FlowstateError) return cause.code;
  if (error instanceof NonDeterminismError) return 'non_deterministic';
  return error instanceof StepError ? 'step_error' : 'workflow_error';
}
