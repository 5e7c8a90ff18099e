import { FlowstateError, httpStatus, type ErrorCode, type FailedTry } from '@flowstate/contracts';

/** What a step threw, as far as it is on record. */
export function recordedError({ code, message }: FailedTry): Error {
  return code in httpStatus ? new FlowstateError(code as ErrorCode, message, { retryable: false }) : new Error(message);
}
