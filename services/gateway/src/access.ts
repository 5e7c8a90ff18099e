import { FlowstateError, type Principal } from '@flowstate/contracts';
import { wholeApi } from '@flowstate/security';
import type { FastifyRequest } from 'fastify';
import type { ScopedRoutes } from './access-rows.ts';
import type { AccessRules } from './access-rules.ts';
import { isPage } from './credentials.ts';
import type { App } from './gateway-app.ts';

export type Authenticator = {
  /** Proves who sends the request or throws `invalid_token`. */
  authenticate(request: FastifyRequest): Promise<Principal>;
  /** Throws unless the request carries the workers' API key. */
  authenticateWorker(request: FastifyRequest): void;
  /** Told of requests that need no proof; throws `rate_limited`. */
  pass?(request: FastifyRequest): void;
};

/** Deny by default: a route without a rule does not boot, and every rule is enforced before the body is read. */
export function enforceAccess(
  app: App,
  rules: Pick<AccessRules, 'rule' | 'closedToRuns'>,
  authenticator: Authenticator,
  scopedRoutes: ScopedRoutes = {},
): void {
  app.decorateRequest('principal', null);

  app.addHook('onRoute', (route) => {
    for (const method of [route.method].flat()) {
      // HEAD answers like GET, OPTIONS is CORS.
      if (method !== 'HEAD' && method !== 'OPTIONS' && rules.rule({ method, pattern: route.url }) === undefined) {
        throw new Error(`${method} ${route.url} has no access rule in routes/access-table.ts`);
      }
    }
  });

  app.addHook('onRequest', async (request, reply) => {
    const pattern = request.routeOptions.url;
    if (pattern === undefined) return; // no such route: the not-found handler answers
    const method = request.method === 'HEAD' ? 'GET' : request.method;
    const rule = rules.rule({
      method,
      pattern,
      params: request.params as Record<string, unknown>,
    });
    if (rule === 'open') return authenticator.pass?.(request);
    if (rule === undefined) throw new FlowstateError('forbidden', 'This route has no access rule');
    if (rule === 'worker') return authenticator.authenticateWorker(request);
    try {
      request.principal = await authenticator.authenticate(request);
    } catch (error) {
      if (!wantsLoginPage(request, error)) throw error;
      return reply.redirect(`/admin/login?next=${encodeURIComponent(request.url)}`, 303);
    }
    const { role, via } = request.principal;
    if (!rule.includes(role)) throw new FlowstateError('forbidden', `The role ${role} may not do this`);
    const closed = 'run' in via ? rules.closedToRuns({ method, pattern }) : null;
    if (closed !== null) throw new FlowstateError('forbidden', closed);
    if ('apiKey' in via) {
      const own = scopedRoutes[`${method} ${pattern}`];
      if (via.scopes.some((scope) => scope === wholeApi || scope === own)) return;
      throw new FlowstateError('forbidden', "This is outside the API key's scopes");
    }
  });
}

/** A person without a (good) cookie is asked to log in; a program gets the 401. */
function wantsLoginPage(request: FastifyRequest, error: unknown): boolean {
  return (
    error instanceof FlowstateError &&
    error.code === 'invalid_token' &&
    isPage(request.routeOptions.url ?? '') &&
    request.headers.authorization === undefined &&
    (request.headers.accept ?? '').includes('text/html')
  );
}

/** The principal of a closed route's request. */
export function principalOf(request: FastifyRequest): Principal {
  if (request.principal === null) throw new FlowstateError('invalid_token', 'This needs a login');
  return request.principal;
}
