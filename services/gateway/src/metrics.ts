import { roles, SearchCacheCounts } from '@flowstate/contracts';
import { createRegistry, startAtZero, type Build } from '@flowstate/runtime';
import type { SearchObserver } from '@flowstate/search';
import { Counter, Gauge, Histogram, type Registry } from '@prometheus-io/client';
import fastifyMetrics from 'fastify-metrics';
import type { FastifyRequest } from 'fastify';
import type { Rule } from './access-rows.ts';
import { authFailureReasons } from './auth-failure.ts';
import type { App } from './gateway-app.ts';
import { recallObserver } from './recall-metrics.ts';

export type GatewayMetrics = ReturnType<typeof createGatewayMetrics>;

const unknownRoute = '__unknown__';
const cacheResults = Object.keys(SearchCacheCounts.properties.requests.properties);
const seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** Streams and waiting requests last as long as the client likes: they would drown every latency. */
const isLongLived = (request: FastifyRequest) =>
  request.routeOptions.url === '/api/runs/:id/events' || /\bwait=/.test(String(request.headers.prefer ?? ''));

/** Everything the gateway measures. Labels are bounded: route patterns, codes, roles. */
export function createGatewayMetrics(build: Build) {
  const registry = createRegistry('gateway', build);
  const registers = [registry];
  const authFailures = new Counter({
    name: 'auth_failures_total',
    help: 'Refused authentications by reason',
    labelNames: ['reason'],
    registers,
  });
  startAtZero(
    authFailures,
    authFailureReasons.map((reason) => ({ reason })),
  );
  return {
    registry,
    httpErrors: new Counter({
      name: 'http_requests_errors_total',
      help: 'Answers with status 400 and above; restricted: the route is closed to some roles',
      labelNames: ['method', 'route', 'status_code', 'role', 'restricted'],
      registers,
    }),
    httpActive: new Gauge({ name: 'http_requests_active', help: 'Requests being answered', registers }),
    sseActive: new Gauge({ name: 'sse_streams_active', help: 'Open event streams', registers }),
    authFailures,
    auditLost: new Counter({
      name: 'audit_lost_total',
      help: 'Audit entries that could not be kept until the database took them',
      registers,
    }),
    tokensVerified: new Counter({
      name: 'auth_tokens_verified_total',
      help: 'Accepted access tokens by signing key',
      labelNames: ['kid'],
      registers,
    }),
    recommendationFeedback: new Counter({
      name: 'recommendation_feedback_total',
      help: 'What was said of recommended items: once for each opinion, and again when it changes',
      labelNames: ['kind', 'helpful'],
      registers,
    }),
    search: searchObserver(registry),
    recall: recallObserver(registry),
  };
}

/** Counts what a search reports: which way it was answered, how long it took, how long Postgres took. */
function searchObserver(registry: Registry): SearchObserver {
  const registers = [registry];
  const duration = new Histogram({
    name: 'vector_search_duration_seconds',
    help: 'Seconds of a search, by kind and whether the cache answered',
    labelNames: ['kind', 'cache'],
    buckets: seconds,
    registers,
  });
  const cacheRequests = new Counter({
    name: 'vector_cache_requests_total',
    help: 'Look-ups of the vector-search cache by result: hit, stale, waited, miss, unavailable',
    labelNames: ['result'],
    registers,
  });
  startAtZero(
    cacheRequests,
    cacheResults.map((result) => ({ result })),
  );
  const cachedAge = new Histogram({
    name: 'vector_cache_hit_age_seconds',
    help: 'Seconds since the cached answers that were given had been computed',
    buckets: [1, 5, 15, 30, 60, 120, 300, 600, 1_800, 3_600],
    registers,
  });
  const hitsHere = new Counter({
    name: 'vector_cache_local_hits_total',
    help: 'Those of the hits that were found in this process',
    registers,
  });
  const evictedHere = new Counter({
    name: 'vector_cache_local_evictions_total',
    help: 'Answers in this process that had to go for others',
    registers,
  });
  const heldHere = new Gauge({
    name: 'vector_cache_local_bytes',
    help: 'Estimated bytes of answers kept in this process',
    registers,
  });
  const moved = new Counter({
    name: 'vector_cache_bytes_total',
    help: 'Bytes of answers, as stored, that were read from Redis or written there',
    labelNames: ['direction'],
    registers,
  });
  const embeddings = new Counter({
    name: 'vector_cache_embeddings_total',
    help: 'Look-ups of embeddings of queries, in this process and then in Redis, by result',
    labelNames: ['result'],
    registers,
  });
  const matchDuration = new Histogram({
    name: 'match_documents_duration_seconds',
    help: 'Seconds of a match_documents call in Postgres',
    buckets: seconds,
    registers,
  });
  const readFrom = new Counter({
    name: 'vector_search_replica_reads_total',
    help: 'Searches in Postgres where there is a replica: read from it, or from the primary because it was behind or away',
    labelNames: ['result'],
    registers,
  });
  return {
    searched: (labels, took) => duration.observe(labels, took),
    readFrom: (result) => readFrom.inc({ result }),
    cacheAsked: (labels) => cacheRequests.inc(labels),
    cachedAge: (age) => cachedAge.observe(age),
    foundHere: () => hitsHere.inc(),
    evictedHere: () => evictedHere.inc(),
    heldHere: (bytes) => heldHere.set(bytes),
    cacheMoved: (labels, bytes) => moved.inc(labels, bytes),
    embeddingAsked: (labels) => embeddings.inc(labels),
    matched: (took) => matchDuration.observe(took),
  };
}

/** Measures every request: latency by fastify-metrics, active ones and errors beside it. */
export async function measureRequests(
  app: App,
  metrics: GatewayMetrics,
  ruleOf: (request: FastifyRequest) => Rule | undefined,
): Promise<void> {
  const registers = [metrics.registry];
  await app.register(fastifyMetrics.default, {
    endpoint: null,
    defaultMetrics: { enabled: false },
    routeMetrics: {
      enabled: { histogram: true, summary: false },
      registeredRoutesOnly: false,
      invalidRouteGroup: unknownRoute,
      // The summary is made all the same; in no registry nobody sees it.
      overrides: { histogram: { buckets: seconds, registers }, summary: { registers: [] } },
    },
  });
  const timers = (app as unknown as { metrics: { metricStorage: WeakMap<FastifyRequest, unknown> } }).metrics
    .metricStorage;
  app.addHook('onRequest', (request, reply, done) => {
    metrics.httpActive.inc();
    // Not `onResponse`: nobody calls that for a client that hung up.
    reply.raw.once('close', () => metrics.httpActive.dec());
    if (isLongLived(request)) timers.delete(request);
    done();
  });
  app.addHook('onResponse', (request, reply, done) => {
    if (reply.statusCode < 400) return done();
    const rule = ruleOf(request);
    metrics.httpErrors.inc({
      method: request.method,
      route: request.routeOptions.url ?? unknownRoute,
      status_code: String(reply.statusCode),
      role: request.principal?.role ?? 'none',
      restricted: String(Array.isArray(rule) && rule.length < roles.length),
    });
    done();
  });
}
