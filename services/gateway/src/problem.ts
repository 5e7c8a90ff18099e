import { FlowstateError, invalidInput, toFieldErrors, type Problem } from '@flowstate/contracts';
import { answerOf, noSuchPath, sendProblem, toFlowstateError } from '@flowstate/runtime';
import { isDatabaseOutage, isUndoneForOthers } from '@flowstate/store';
import type { FastifyError, FastifyRequest } from 'fastify';
import type { App } from './gateway-app.ts';

/** Every refusal and failure leaves the gateway as `application/problem+json` (RFC 9457). */
export function problemErrors(app: App): void {
  app.setErrorHandler<FastifyError>((error, request, reply) => {
    const known = toKnownError(error);
    if (known.code === 'internal') request.log.error({ err: error }, 'request failed');
    // It may come again; but two that lock in different orders are somebody's mistake.
    if (isUndoneForOthers(error)) request.log.warn({ err: error }, 'undone by Postgres');
    return sendProblem(request, reply, known);
  });
  app.setNotFoundHandler((request, reply) => sendProblem(request, reply, noSuchPath(request)));
}

/** The body of an error answer. */
export function toProblem(request: FastifyRequest, error: FlowstateError): Problem {
  return answerOf(error, request.id).problem;
}

/** Fastify's own refusals and the stores' outages, in our words. */
export function toKnownError(error: Error & Partial<FastifyError>): FlowstateError {
  if (error instanceof FlowstateError) return error;
  if (error.validation) {
    const root = error.validationContext === 'body' ? '' : (error.validationContext ?? '');
    return invalidInput(toFieldErrors(error.validation as Parameters<typeof toFieldErrors>[0], root));
  }
  if (isDatabaseOutage(error)) {
    return new FlowstateError('unavailable', 'The database is not reachable right now', { cause: error });
  }
  if (isUndoneForOthers(error)) {
    const undone = 'Others changed the same at this moment, and this was undone: try again';
    return new FlowstateError('unavailable', undone, { cause: error, retryAfter: 1 });
  }
  const { statusCode, message } = error;
  if (error.code === 'FST_ERR_BAD_URL') {
    return invalidInput([{ field: 'url', message: 'is not percent-encoded UTF-8' }]);
  }
  // What Fastify could not read: JSON that is none, an empty body, a wrong length.
  if (statusCode === 400 && (error instanceof SyntaxError || error.code?.startsWith('FST_ERR_CTP_'))) {
    return invalidInput([{ field: 'body', message: `cannot be read: ${message}` }]);
  }
  return toFlowstateError(error);
}
