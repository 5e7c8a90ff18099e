import { withLogContext, type LogContext } from '@flowstate/runtime';
import { isTracing, openServerSpan, type ServerSpan } from '@flowstate/tracing';
import type { FastifyRequest } from 'fastify';
import type { App } from './gateway-app.ts';
import { probePaths } from './probe-paths.ts';

type Surroundings = { log: LogContext; span: ServerSpan | null };

declare module 'fastify' {
  interface FastifyRequest {
    surroundings: Surroundings | null;
  }
}

/** Whatever is logged or traced while a request is answered says which request, route and principal it was. */
export function followRequests(app: App): void {
  app.decorateRequest('surroundings', null);
  const inside = ({ log, span }: Surroundings, work: () => void) =>
    withLogContext(log, () => (span === null ? work() : span.within(work)));

  app.addHook('onRequest', (request, reply, done) => {
    const span = isTracing() ? spanOf(request) : null;
    // However it ends: answered, or given up by the client.
    if (span !== null) reply.raw.once('close', () => span.end(reply.raw.headersSent ? reply.statusCode : 0));
    request.surroundings = { log: { requestId: request.id }, span };
    inside(request.surroundings, done);
  });
  // A body comes by events of its socket, which know nothing of the request; by now it is known whose it is.
  app.addHook('preValidation', (request, _reply, done) => {
    const { principal, surroundings } = request;
    if (surroundings === null) return done();
    if (principal !== null) surroundings.log.principal = principal.id;
    inside(surroundings, done);
  });
}

function spanOf({ method, routeOptions, headers, id }: FastifyRequest): ServerSpan | null {
  const route = routeOptions.url;
  if (route !== undefined && probePaths.has(route)) return null;
  const { traceparent } = headers;
  return openServerSpan(
    route === undefined ? method : `${method} ${route}`,
    typeof traceparent === 'string' ? traceparent : undefined,
    { 'http.request.method': method, ...(route !== undefined && { 'http.route': route }), 'flowstate.request.id': id },
  );
}
