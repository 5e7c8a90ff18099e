import { randomUUID } from 'node:crypto';
import { sendProblem } from '@flowstate/runtime';
import Fastify, { LogController, type FastifyBaseLogger, type FastifyReply } from 'fastify';
import { enforceAccess, type Authenticator } from './access.ts';
import { ruleOf } from './access-rows.ts';
import { auditRequests } from './audit-trail.ts';
import { credentialOf } from './credentials.ts';
import { enforceDeadline } from './deadline.ts';
import { refuseEncodedBodies } from './content-encoding.ts';
import type { Deps } from './deps.ts';
import type { App } from './gateway-app.ts';
import { guardEdge } from './edge.ts';
import { readJsonBodies } from './json-body.ts';
import { lazySerializers, useLazyValidators } from './lazy-schemas.ts';
import { limited } from './limited-authenticator.ts';
import { measureRequests } from './metrics.ts';
import { describeApi, serveApiDocs } from './openapi.ts';
import { followRequests } from './request-context.ts';
import { problemErrors, toKnownError } from './problem.ts';
import { registerRateLimits } from './rate-limits.ts';
import { access, registerRoutes, scopedRoutes } from './routes/index.ts';
import { followSearchChanges } from './search-changes.ts';
import { registerTokens } from './tokens.ts';

const bodyLimit = 1024 * 1024;

/** Builds the gateway's HTTP application; nothing listens yet. */
export async function createApp(deps: Deps, authenticator: Authenticator): Promise<App> {
  const loggerInstance: FastifyBaseLogger = deps.log;
  const app: App = Fastify({
    loggerInstance,
    bodyLimit,
    ...lazySerializers,
    trustProxy: deps.config.TRUST_PROXY,
    // Headers are read before anything is known of who sends them.
    http: { maxHeaderSize: 16 * 1024, headersTimeout: 10_000 },
    routerOptions: { maxParamLength: 255 }, // external ids may be that long
    genReqId: () => randomUUID(),
    requestIdHeader: false,
    // Before any route is found: a path that cannot be decoded, say.
    frameworkErrors: (error, request, reply: FastifyReply) => void sendProblem(request, reply, toKnownError(error)),
    forceCloseConnections: 'idle',
    return503OnClosing: false, // whoever got through is answered: stores close after the last answer
    // Its request and principal stand on each line anyhow.
    childLoggerFactory: (logger) => logger,
    logController: new LogController({ disableRequestLogging: true }),
  });
  app.removeContentTypeParser('text/plain'); // no route reads it: 415 says so
  refuseEncodedBodies(app);
  readJsonBodies(app);
  useLazyValidators(app);
  followRequests(app);
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id);
    // The client takes its next request to another gateway, before this one closes the connection on it.
    if (deps.draining.aborted) reply.header('connection', 'close');
    done();
  });
  enforceDeadline(app);
  problemErrors(app);
  await measureRequests(app, deps.metrics, ({ method, routeOptions: { url } }) =>
    url === undefined ? undefined : ruleOf(access, method, url),
  );
  await guardEdge(app, {
    config: deps.config,
    flags: deps.flags,
    storeHangs: deps.identity.policy.hangs,
  });
  await registerTokens(app, {
    ring: deps.keys,
    issuer: deps.config.JWT_ISSUER,
    audience: deps.config.JWT_AUDIENCE,
    extract: (request) => {
      const credential = credentialOf(request);
      return typeof credential === 'object' ? credential.value : undefined;
    },
    policyKnown: () => deps.identity.policy.appliedEpoch() !== undefined,
    noteSigned: deps.keyUse.noteSigned,
  });
  await registerRateLimits(app, deps.attempts);
  followSearchChanges(app, deps.searchEpoch);
  enforceAccess(app, deps.accessRules, limited(authenticator, deps.rates), scopedRoutes);
  auditRequests(app, deps);
  await describeApi(app, deps.config.FLOWSTATE_VERSION, deps.accessRules);
  registerRoutes(app, deps);
  await serveApiDocs(app);
  return app;
}
