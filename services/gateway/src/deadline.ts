import { FlowstateError } from '@flowstate/contracts';
import { sendProblem } from '@flowstate/runtime';
import type { FastifyBaseLogger, FastifyError } from 'fastify';
import type { App } from './gateway-app.ts';
import { toKnownError } from './problem.ts';

/** Milliseconds until the answer must begin; a route that waits or imports says its own in `config.deadlineMs`. */
export const requestDeadlineMs = 10_000;

declare module 'fastify' {
  interface FastifyContextConfig {
    deadlineMs?: number | ((request: FastifyRequest) => number);
  }
}

const tooLate = () => new FlowstateError('unavailable', 'This took too long; try again', { retryAfter: 2 });

/**
 * Answers 503 to whoever would wait for ever: a Postgres that hangs refuses nothing and answers nothing. The work
 * itself goes on. Unlike Fastify's `handlerTimeout` it leaves answers alone that have begun, such as long streams.
 */
export function enforceDeadline(app: App): void {
  app.addHook('onRequest', (request, reply, done) => {
    const { deadlineMs = requestDeadlineMs } = request.routeOptions.config;
    const timer = setTimeout(
      () => {
        if (reply.sent || reply.raw.headersSent) return;
        request.log.warn({ method: request.method, route: request.routeOptions.url }, 'no answer in time');
        reply.log = afterAnswer(request.log);
        sendProblem(request, reply, tooLate());
      },
      typeof deadlineMs === 'number' ? deadlineMs : deadlineMs(request),
    );
    reply.raw.once('close', () => clearTimeout(timer));
    done();
  });
}

/** The work's own end comes after the answer, as it must: Fastify takes either end for a mistake and says so. */
function afterAnswer(log: FastifyBaseLogger): FastifyBaseLogger {
  const error = ({ err }: { err: FastifyError }) => {
    if (toKnownError(err).code === 'internal') log.error({ err }, 'request failed after its deadline');
  };
  return Object.create(log, { error: { value: error }, warn: { value: () => {} } }) as FastifyBaseLogger;
}

/** Work with a deadline of its own, in a request that may take longer. */
export async function within<T>(work: Promise<T>, ms: number = requestDeadlineMs): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(tooLate()), ms);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
