import { withLogContext, type LogContext } from '@flowstate/runtime';
import { describeSpan } from '@flowstate/tracing';
import type { App } from './deps.ts';

/** Whatever is logged or traced while a request is answered says which request, route and principal it was. */
export function followRequests(app: App): void {
  const contexts = new WeakMap<object, LogContext>();

  app.addHook('onRequest', (request, _reply, done) => {
    const context: LogContext = { requestId: request.id };
    contexts.set(request, context);
    const { url } = request.routeOptions;
    if (url !== undefined) {
      describeSpan({ 'http.route': url, 'flowstate.request.id': request.id }, `${request.method} ${url}`);
    }
    withLogContext(context, done);
  });
  // A body comes by events of its socket, which know nothing of the request; by now it is known whose it is.
  app.addHook('preValidation', (request, _reply, done) => {
    const context = contexts.get(request) ?? {};
    if (request.principal !== null) context.principal = request.principal.id;
    withLogContext(context, done);
  });
}
