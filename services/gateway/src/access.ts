import { FlowstateError, type Principal, type Role } from '@flowstate/contracts';
import { wholeApi } from '@flowstate/security';
import type { FastifyRequest } from 'fastify';
import type { AccessRules } from './access-rules.ts';
import { isPage } from './credentials.ts';
import type { App } from './deps.ts';

/** Who may call a route: `open` anybody, `worker` only a worker's API key, else the roles named. */
export type Rule = 'open' | 'worker' | readonly Role[];

/** Roles that may call a route, but no run in the name of one of them: `closedToRuns` says why, in a sentence. */
export type ClosedToRuns = { roles: readonly Role[]; closedToRuns: string };

/** `METHOD /path/pattern` → rule. */
export type AccessTable = Readonly<Record<string, Rule | ClosedToRuns>>;

export type Authenticator = {
  /** Proves who sends the request or throws `invalid_token`. */
  authenticate(request: FastifyRequest): Promise<Principal>;
  /** Throws unless the request carries the workers' API key. */
  authenticateWorker(request: FastifyRequest): void;
  /** Told of requests that need no proof; throws `rate_limited`. */
  pass?(request: FastifyRequest): void;
};

/** `METHOD /path/pattern` → the scope by which an API key that is good for little else may call it. */
export type ScopedRoutes = Readonly<Record<string, string>>;

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
    const own = scopedRoutes[`${method} ${pattern}`];
    if ('apiKey' in via && !via.scopes.some((scope) => scope === wholeApi || scope === own)) {
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

/** The row of a route: its exact pattern first, then the longest `prefix/*` (pages of a plugin under one prefix). */
export function entryOf(table: AccessTable, method: string, pattern: string): string | undefined {
  const exact = `${method} ${pattern}`;
  if (table[exact] !== undefined) return exact;
  const parts = pattern.split('/');
  for (let length = parts.length; length > 1; length--) {
    const entry = `${method} ${parts.slice(0, length).join('/')}/*`;
    if (table[entry] !== undefined) return entry;
  }
  return undefined;
}

/** What the table says of a route, whatever is locked down. */
export function ruleOf(table: AccessTable, method: string, pattern: string): Rule | undefined {
  const row = table[entryOf(table, method, pattern) ?? ''];
  return row === undefined ? undefined : ruleIn(row);
}

/** Whom a row lets in, closed to runs or not. */
export function ruleIn(row: AccessTable[string]): Rule {
  return typeof row === 'object' && 'closedToRuns' in row ? row.roles : row;
}

/** Why no run may call what the row is about; null if one may. */
export function whyClosedToRuns(row: AccessTable[string] | undefined): string | null {
  return typeof row === 'object' && 'closedToRuns' in row ? row.closedToRuns : null;
}

/** The principal of a closed route's request. */
export function principalOf(request: FastifyRequest): Principal {
  if (request.principal === null) throw new FlowstateError('invalid_token', 'This needs a login');
  return request.principal;
}
