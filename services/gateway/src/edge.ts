import fastifyCors from '@fastify/cors';
import fastifyHelmet from '@fastify/helmet';
import underPressure from '@fastify/under-pressure';
import { FlowstateError, type FlagName } from '@flowstate/contracts';
import Fastify, { type FastifyRequest } from 'fastify';
import type { GatewayConfig } from './config.ts';
import type { App } from './gateway-app.ts';
import type { Flags } from './flags.ts';
import { probePaths } from './probe-paths.ts';

/** Routes that a flag switches off, beside those that search. */
const switched: Readonly<Record<string, FlagName>> = {
  'POST /api/workflows/:name/runs': 'runs.start',
  'POST /api/runs/:id/retry': 'runs.start',
  'POST /api/runs/:id/fork': 'runs.start',
  'POST /api/runs/retry': 'runs.start',
  'POST /api/schedules/:id/trigger': 'runs.start',
  'POST /api/import': 'import',
  'POST /api/documents': 'documents.write',
};
/** Milliseconds of lag from which on the flag `shed.lag-ms` is looked at. */
const leastLag = 100;
/** What loads and compiles at a start is no load. */
const startMs = 5_000;
const exposed = ['location', 'retry-after', 'x-request-id', 'preference-applied'];

/**
 * What says something about an answer that is no page; the others tell a browser how to show one (OWASP REST Security
 * Cheat Sheet, "Security headers").
 */
const forPrograms = [
  'content-security-policy',
  'cross-origin-resource-policy',
  'strict-transport-security',
  'x-content-type-options',
  'x-frame-options',
];

type Options = {
  config: Pick<GatewayConfig, 'CORS_ORIGINS'>;
  flags: Flags;
  /** Does Postgres take questions and answer none? */
  storeHangs: () => boolean;
};

/** What stands between the network and the routes: headers, other origins, overload, switches. Before authentication. */
export async function guardEdge(app: App, { config, flags, storeHangs }: Options): Promise<void> {
  const begun = performance.now();
  const securityHeaders = await readSecurityHeaders();
  if (config.CORS_ORIGINS !== undefined) {
    await app.register(fastifyCors, {
      origin: config.CORS_ORIGINS.split(',').map((origin) => origin.trim()),
      methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
      exposedHeaders: exposed,
      maxAge: 600,
    });
  }
  await app.register(underPressure, {
    maxEventLoopDelay: leastLag,
    pressureHandler: ({ routeOptions: { url = '' } }, _reply, _type, lag) => {
      if (probePaths.has(url) || performance.now() - begun < startMs) return;
      if (lag !== undefined && lag < flags.limit('shed.lag-ms')) return;
      throw new FlowstateError('unavailable', 'Too much to do right now', { retryAfter: 2 });
    },
  });
  const ofApi = only(securityHeaders, forPrograms);
  app.addHook('onRequest', (request, reply, done) => {
    const { url } = request;
    reply.headers(url.startsWith('/api/') && !url.startsWith('/api/docs') ? ofApi : securityHeaders);
    done(refusalOf(request));
  });

  function refusalOf({
    method,
    routeOptions: { url = '', config: route },
  }: FastifyRequest): FlowstateError | undefined {
    if (probePaths.has(url)) return undefined;
    if (storeHangs())
      return new FlowstateError('unavailable', 'The database does not answer right now', { retryAfter: 2 });
    const flag = route.search === 'reads' ? 'search' : switched[`${method} ${url}`];
    if (flag === undefined || flags.isOn(flag)) return undefined;
    return new FlowstateError('unavailable', `Switched off for now (${flag})`, { retryAfter: 30 });
  }
}

function only(headers: Record<string, string>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => names.includes(name)));
}

/** What helmet says of every answer: it is the same each time, and is asked for once instead of for each request. */
async function readSecurityHeaders(): Promise<Record<string, string>> {
  const probe = Fastify();
  await probe.register(fastifyHelmet, {
    // An API's answers load nothing; the pages state their own policy.
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
    referrerPolicy: { policy: 'same-origin' },
  });
  probe.get('/', (_request, reply) => reply.send(reply.raw.getHeaders()));
  const { body } = await probe.inject('/');
  await probe.close();
  return JSON.parse(body) as Record<string, string>;
}
