import { FlowstateError, parseRetryAfter } from '@flowstate/contracts';

/** What the AI SDK's `APICallError` says, and what its copies across package versions say too. */
type CallError = { statusCode?: number; responseHeaders?: Record<string, string> };

const farEnd = 'The language model endpoint';

/**
 * What went wrong with a call, as an error whoever asked can act on. The far end's words stay out of it, and so does
 * the SDK's error as its cause: both may quote the prompt, the answer or the key.
 */
export function modelFailure(error: unknown, timeoutMs: number): FlowstateError {
  if (error instanceof FlowstateError) return error;
  const { name } = error as { name?: string };
  if (name === 'TimeoutError' || name === 'AbortError') return timedOut(timeoutMs);
  if (name === 'AI_APICallError') return refusal(error as CallError);
  if (name === 'AI_InvalidResponseDataError') return cut();
  if (name?.startsWith('AI_') || isErrorBody(error)) {
    // Garbled, or an error in the middle of an answer: the next try may do better.
    return new FlowstateError('upstream_failed', `${farEnd} answered something that is no answer`, { retryable: true });
  }
  // `fetch` failed, or the connection was lost while reading.
  return name === 'TypeError' || name === 'Error' ? cut() : new FlowstateError('internal', `${farEnd}: ${name}`);
}

/** Did the model call a tool where it was not to? */
export function isCallInstead(error: unknown): boolean {
  return error instanceof Error && error.name === 'AI_ToolChoiceViolationError';
}

/** Is it certain that the far end charges nothing? It refused the call with a status, or there was no way to it. */
export function usedNothing(error: unknown): boolean {
  const { name, statusCode = 0, cause } = error as { name?: string; cause?: { code?: string } } & CallError;
  if (name !== 'AI_APICallError') return false;
  return statusCode >= 400 || noWay.has(cause?.code ?? '');
}

const noWay = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'UND_ERR_CONNECT_TIMEOUT']);

export function timedOut(timeoutMs: number): FlowstateError {
  return new FlowstateError('timeout', `${farEnd} took longer than ${timeoutMs} ms, or fell silent`);
}

function cut(): FlowstateError {
  return new FlowstateError('unavailable', `${farEnd} cannot be reached, or was cut off in the middle of an answer`);
}

function refusal({ statusCode: status, responseHeaders = {} }: CallError): FlowstateError {
  if (status === undefined || status < 300) return cut(); // it had begun to answer
  const waitMs = parseRetryAfter(responseHeaders['retry-after']);
  const hint = waitMs === null ? {} : { retryAfter: Math.ceil(waitMs / 1000) };
  if (status === 429) return new FlowstateError('rate_limited', `${farEnd} limits our rate (429)`, hint);
  if (status >= 500 || status === 408) return new FlowstateError('unavailable', `${farEnd} failed (${status})`, hint);
  const why = status === 401 || status === 403 ? 'refused our key' : 'refused the request';
  return new FlowstateError('upstream_failed', `${farEnd} ${why} (${status})`);
}

/** What a provider sends in place of a piece of its answer. */
function isErrorBody(error: unknown): boolean {
  return typeof error === 'object' && error !== null && !(error instanceof Error);
}
