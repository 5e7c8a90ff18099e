import { STATUS_CODES } from 'node:http';
import { FlowstateError, httpStatus, invalidInput, toFieldErrors, type Problem } from '@flowstate/contracts';
import { isDatabaseOutage } from '@flowstate/store';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { App } from './deps.ts';

/** Every refusal and failure leaves the gateway as `application/problem+json` (RFC 9457), rendered here only. */
export function problemErrors(app: App): void {
  app.setErrorHandler<FastifyError>((error, request, reply) => {
    const known = toKnownError(error);
    if (known.code === 'internal') request.log.error({ err: error }, 'request failed');
    return sendProblem(request, reply, known);
  });
  app.setNotFoundHandler((request, reply) =>
    sendProblem(request, reply, new FlowstateError('not_found', `There is no ${request.method} ${pathOf(request)}`)),
  );
}

export function sendProblem(request: FastifyRequest, reply: FastifyReply, error: FlowstateError): FastifyReply {
  const status = httpStatus[error.code];
  if (status === 401) reply.header('www-authenticate', 'Bearer error="invalid_token"');
  if (error.retryAfter !== undefined) reply.header('retry-after', String(error.retryAfter));
  const problem = toProblem(request, error);
  return reply.code(status).type('application/problem+json').serializer(JSON.stringify).send(problem);
}

/** The body of an error answer. */
export function toProblem(request: FastifyRequest, error: FlowstateError): Problem {
  const status = httpStatus[error.code];
  return {
    type: `urn:flowstate:error:${error.code}`,
    title: STATUS_CODES[status] ?? 'Error',
    status,
    code: error.code,
    // What went wrong inside is for the log, not for the caller.
    detail: error.code === 'internal' ? 'Something went wrong here; the request id finds it in the log' : error.message,
    requestId: request.id,
    ...(error.errors && { errors: error.errors }),
  };
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?')[0] ?? '';
}

/** Fastify's own refusals and the stores' outages, in our words. */
export function toKnownError(error: Error & Partial<FastifyError>): FlowstateError {
  if (error instanceof FlowstateError) return error;
  if (error.validation) {
    const root = error.validationContext === 'body' ? '' : (error.validationContext ?? '');
    const errors = toFieldErrors(error.validation as Parameters<typeof toFieldErrors>[0], root);
    return new FlowstateError('invalid_input', errors.map((e) => `${e.field} ${e.message}`).join('; '), { errors });
  }
  if (isDatabaseOutage(error)) {
    return new FlowstateError('unavailable', 'The database is not reachable right now', { cause: error });
  }
  const { statusCode = 500, message } = error;
  if (statusCode === 413) {
    return new FlowstateError('payload_too_large', message, { errors: [{ field: 'body', message: 'is too large' }] });
  }
  if (statusCode === 415) return new FlowstateError('unsupported_media_type', message);
  if (statusCode === 429) return new FlowstateError('rate_limited', message, { retryAfter: 1 });
  // What Fastify could not read: JSON that is none, an empty body, a wrong length.
  if (statusCode === 400 && (error instanceof SyntaxError || error.code?.startsWith('FST_ERR_CTP_'))) {
    return invalidInput([{ field: 'body', message: `cannot be read: ${message}` }]);
  }
  if (statusCode >= 400 && statusCode < 500) return new FlowstateError('invalid_input', message);
  return new FlowstateError('internal', message, { cause: error });
}
