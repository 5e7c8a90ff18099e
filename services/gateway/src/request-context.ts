import { withLogContext, type LogContext } from '@flowstate/runtime';
import { isTracing, openServerSpan, type ServerSpan } from '@flowstate/tracing';
import type { FastifyRequest } from 'fastify';
import type { App } from './deps.ts';

type Surroundings = { log: LogContext; span: ServerSpan | null };

/** Asked all the time, and of no interest to anybody. */
const untraced = new Set(['/api/health', '/api/ready', '/api/metrics']);

/** Whatever is logged or traced while a request is answered says which request, route and principal it was. */
export function followRequests(app: App): void {
  const known = new WeakMap<object, Surroundings>();
  const inside = ({ log, span }: Surroundings, work: () => void) =>
    withLogContext(log, () => (span === null ? work() : span.within(work)));

  app.addHook('onRequest', (request, reply, done) => {
    const span = isTracing() ? spanOf(request) : null;
    // However it ends: answered, or given up by the client.
    if (span !== null) reply.raw.once('close', () => span.end(reply.raw.headersSent ? reply.statusCode : 0));
    const surroundings = { log: { requestId: request.id }, span };
    known.set(request, surroundings);
    inside(surroundings, done);
  });
  // A body comes by events of its socket, which know nothing of the request; by now it is known whose it is.
  app.addHook('preValidation', (request, _reply, done) => {
    const surroundings = known.get(request) ?? { log: {}, span: null };
    if (request.principal !== null) surroundings.log.principal = request.principal.id;
    inside(surroundings, done);
  });
}

function spanOf({ method, routeOptions, headers, id }: FastifyRequest): ServerSpan | null {
  const route = routeOptions.url;
  if (route !== undefined && untraced.has(route)) return null;
  const { traceparent } = headers;
  return openServerSpan(
    route === undefined ? method : `${method} ${route}`,
    typeof traceparent === 'string' ? traceparent : undefined,
    { 'http.request.method': method, ...(route !== undefined && { 'http.route': route }), 'flowstate.request.id': id },
  );
}
