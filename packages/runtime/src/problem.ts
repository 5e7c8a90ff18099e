import { STATUS_CODES } from 'node:http';
import { FlowstateError, httpStatus, type Problem } from '@flowstate/contracts';

/** An error as an HTTP answer of type `application/problem+json`. */
type ProblemAnswer = { status: number; headers: Record<string, string>; problem: Problem };

/** How every service answers a refusal or a failure (RFC 9457). */
export function answerOf(error: FlowstateError, requestId: string): ProblemAnswer {
  const status = httpStatus[error.code];
  return {
    status,
    headers: {
      ...(status === 401 && { 'www-authenticate': 'Bearer error="invalid_token"' }),
      ...(error.retryAfter !== undefined && { 'retry-after': String(error.retryAfter) }),
    },
    problem: {
      type: `urn:flowstate:error:${error.code}`,
      title: STATUS_CODES[status] ?? 'Error',
      status,
      code: error.code,
      // What went wrong inside is for the log, not for the caller.
      detail:
        error.code === 'internal' ? 'Something went wrong here; the request id finds it in the log' : error.message,
      requestId,
      ...(error.errors && { errors: error.errors }),
    },
  };
}

/** Fastify's own refusals in our words; anything else is `internal`. */
export function toFlowstateError(error: Error & { statusCode?: number }): FlowstateError {
  if (error instanceof FlowstateError) return error;
  const { statusCode = 500, message } = error;
  if (statusCode === 413) {
    return new FlowstateError('payload_too_large', message, { errors: [{ field: 'body', message: 'is too large' }] });
  }
  if (statusCode === 415) return new FlowstateError('unsupported_media_type', message);
  if (statusCode === 429) return new FlowstateError('rate_limited', message, { retryAfter: 1 });
  if (statusCode >= 400 && statusCode < 500) return new FlowstateError('invalid_input', message);
  return new FlowstateError('internal', message, { cause: error });
}

/** For a path that no route serves. */
export function noSuchPath({ method, url }: { method: string; url: string }): FlowstateError {
  return new FlowstateError('not_found', `There is no ${method} ${url.split('?')[0] ?? ''}`);
}

/** As much of Fastify as errors need: this package serves nothing itself. */
type Request = {
  id: string;
  method: string;
  url: string;
  log: { error(fields: { err: Error }, message: string): void };
};
type Reply = {
  code(status: number): Reply;
  headers(headers: Record<string, string>): Reply;
  type(contentType: string): Reply;
  serializer(serialize: (body: unknown) => string): Reply;
  send(body: unknown): Reply;
};
type App = {
  setErrorHandler(handler: (error: Error, request: Request, reply: Reply) => Reply): unknown;
  setNotFoundHandler(handler: (request: Request, reply: Reply) => Reply): unknown;
};

/** Answers with a refusal or a failure, as `application/problem+json`. */
export function sendProblem<R extends Reply>({ id }: Pick<Request, 'id'>, reply: R, error: FlowstateError): R {
  const { status, headers, problem } = answerOf(error, id);
  reply.code(status).headers(headers).type('application/problem+json').serializer(JSON.stringify).send(problem);
  return reply;
}

/** Has a service answer every error so; what nobody foresaw is logged. */
export function problemErrors(app: App): void {
  app.setErrorHandler((error, request, reply) => {
    const known = toFlowstateError(error);
    if (known.code === 'internal') request.log.error({ err: error }, 'request failed');
    return sendProblem(request, reply, known);
  });
  app.setNotFoundHandler((request, reply) => sendProblem(request, reply, noSuchPath(request)));
}
