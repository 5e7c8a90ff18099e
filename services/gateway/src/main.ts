import { Server as NetServer, type Server } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { createRunPublisher, createRunQueues, createRunSubscriber, hearPolicyNews, openRedis } from '@flowstate/queue';
import { embeddersFrom } from '@flowstate/models';
import {
  createAuditLog,
  createLogger,
  createLogSinks,
  followLogLevel,
  measureCircuit,
  measureInstance,
  measureLogSinks,
  onShutdown,
  trackUnusedConnections,
} from '@flowstate/runtime';
import {
  createLoopLoad,
  createRecallSampler,
  createRecommender,
  createScopeEpoch,
  createSearch,
} from '@flowstate/search';
import {
  createAudit,
  createContainments,
  createIdentity,
  createKeyRing,
  createSessionAdmin,
  secretsOf,
  splitSecrets,
  toAuditLine,
} from '@flowstate/security';
import { createLanes, createSql, insertAudit, readLogLevel } from '@flowstate/store';
import type { Redis } from 'ioredis';
import { createAccessRules } from './access-rules.ts';
import { createApp } from './app.ts';
import { createAttemptCounter } from './attempts.ts';
import { createAuthFailureAudit } from './auth-failure-audit.ts';
import { createAuthenticator } from './authenticate.ts';
import { bootstrapAdmin } from './bootstrap-admin.ts';
import { readConfig } from './config.ts';
import { createFlags } from './flags.ts';
import { createKeyUse, reportKeyUse } from './key-use.ts';
import { createGatewayMetrics } from './metrics.ts';
import { createObedience } from './obedience.ts';
import { createOpenStreams } from './open-streams.ts';
import { measureRedis } from './redis-metrics.ts';
import { createRequestRates } from './request-rates.ts';
import { access, permissions } from './routes/index.ts';
import { createAdmission } from './runs/admission.ts';
import { storedEntities } from './runs/stored-entities.ts';
import { createRunService } from './runs/run-service.ts';
import { createWebhookUrlCheck } from './runs/webhook-url.ts';
import { createScheduleService } from './schedules/schedule-service.ts';
import { createWorkflowCatalogue } from './runs/workflow-catalogue.ts';
import { reportSecrets } from './secret-report.ts';
import { createTokenVerifier } from './tokens.ts';

/** The time in which a client that is at work sends one more request. */
const farewellMs = 1_000;

const config = readConfig(process.env);
const sinks = createLogSinks('gateway', config);
const log = createLogger('gateway', config.LOG_LEVEL, sinks);
const reportRedis = (err: Error) => log.warn({ err: err.message }, 'redis');

const sql = createSql(config.DATABASE_URL, { name: 'flowstate-gateway', max: 12 });
// Accepting runs has connections of its own: neither a slow search nor a long list may hold them.
const ledger = createSql(config.DATABASE_URL, { name: 'flowstate-gateway-ledger', max: 8, ledger: true });
const redis = connect(config.REDIS_URL);
const cache = connect(config.REDIS_CACHE_URL);
const lanes = createLanes(ledger, (err) => log.warn({ err }, 'lanes could not be read'));
const queues = createRunQueues(config.REDIS_URL, lanes, reportRedis);
const subscriber = createRunSubscriber(config.REDIS_URL, reportRedis);
const metrics = createGatewayMetrics(config);
measureLogSinks(metrics.registry, sinks);
measureRedis(metrics.registry, { queues: redis, cache }, log);
const embedders = embeddersFrom(config);
const { circuit } = embedders;
if (circuit !== null) measureCircuit(metrics.registry, 'embeddings_endpoint', circuit.state);
// A full scan never takes a connection that a request waits for.
const recallSql = createSql(config.DATABASE_URL, { name: 'flowstate-gateway-recall', max: 1 });
const recall = createRecallSampler({
  sql: recallSql,
  fraction: config.SEARCH_RECALL_SAMPLE,
  observe: metrics.recall,
  busy: createLoopLoad(),
});
const replica =
  config.SEARCH_DATABASE_URL === undefined
    ? undefined
    : createSql(config.SEARCH_DATABASE_URL, { name: 'flowstate-gateway-search', max: 12 });
const searchEpoch = createScopeEpoch(redis);
const search = createSearch({
  sql,
  replica,
  cache,
  embedder: embedders.first,
  otherEmbedders: embedders.others,
  epoch: searchEpoch,
  observe: metrics.search,
  recall,
  ttlSeconds: config.SEARCH_CACHE_TTL_SECONDS,
  localBytes: config.SEARCH_CACHE_LOCAL_BYTES,
  slowMs: config.SEARCH_SLOW_MS,
  onSlow: (call) => log.warn(call, 'slow search'),
});
const identity = createIdentity({ sql, redis });
const keys = createKeyRing({
  current: config.JWT_SECRET,
  previous: splitSecrets(config.JWT_PREVIOUS_SECRETS),
  isKilled: identity.policy.isKilledKey,
});
const keyUse = createKeyUse(keys);
const attempts = createAttemptCounter(redis);
// Its commits are not waited for on disk: an entry that matters is settled by its seal, and run starts cost next to nothing.
const auditSql = createSql(config.DATABASE_URL, { name: 'flowstate-gateway-audit', max: 1, lazyCommit: true });
const auditLog = createAuditLog('gateway', sinks);
const audit = createAudit({
  write: (rows) => insertAudit(auditSql, rows),
  onLost: (entries) => metrics.auditLost.inc(entries),
  onTrouble: (err) => log.error({ err }, 'audit entries are kept until the database takes them'),
  ...(auditLog && { onEntry: (row) => auditLog(toAuditLine(row)) }),
});
const onFailure = createAuthFailureAudit(audit, (reason) => metrics.authFailures.inc({ reason }));
const flags = createFlags(identity.policy.flag);
const rates = createRequestRates({ redis, flags });
const accessRules = createAccessRules({ table: access, permissions, overrides: identity.policy.overrides });
const catalogue = createWorkflowCatalogue(ledger);
const entities = storedEntities(sql);
const admission = createAdmission({ sql: ledger, queues });
const runs = createRunService({
  sql: ledger,
  log,
  queues,
  laneOf: lanes.laneOf,
  publish: createRunPublisher(redis),
  catalogue,
  admission,
  webhookUrl: createWebhookUrlCheck(config),
  entities,
});
const schedules = createScheduleService({ sql, queues, catalogue, entities });
const { policy, sessions } = identity;
const containments = createContainments({ sql, redis, policy, sessions, changeAudited: audit.change });
const reportPolicy = (err: unknown) => log.warn({ err }, 'a change of access could not be followed; again soon');
const streams = createOpenStreams({ sql, policy, accessRules, onError: reportPolicy });
const policyNews = hearPolicyNews(config.REDIS_URL, { onNews: () => void policy.refresh(), onError: reportRedis });
const obedience = createObedience({ sql, policy, streams, onError: reportPolicy });
measureInstance(metrics.registry, 'gateway', () => obedience.id());
const draining = new AbortController();

const app = await createApp(
  {
    config,
    log,
    sql,
    redis,
    cache,
    runs,
    schedules,
    catalogue,
    admission,
    subscriber,
    queues,
    search,
    searchEpoch,
    recommender: createRecommender({ sql, search }),
    identity,
    keys,
    keyUse,
    attempts,
    audit,
    onFailure,
    accessRules,
    flags,
    rates,
    containments,
    streams,
    sessionAdmin: createSessionAdmin({ sql, redis, sessions, changeAudited: audit.change }),
    metrics,
    draining: draining.signal,
  },
  createAuthenticator({
    identity,
    verifyToken: createTokenVerifier(keys),
    accessRules,
    workerApiKey: config.WORKER_API_KEY,
    holdRun: (run) => containments.hold(run),
    onFailure,
    onVerified(kid) {
      metrics.tokensVerified.inc({ kid });
      keyUse.noteVerified(kid);
    },
  }),
);
const bootstrap = bootstrapAdmin(config, { sql, log });
const dropUnused = trackUnusedConnections(app.server);
// Else the first requests could not be answered.
await identity.policy.started;
await app.listen({ host: config.HOST, port: config.PORT });
// Told with lazy commits: a crash of Postgres may forget a second of it.
const keyReport = reportKeyUse({ sql: auditSql, use: keyUse, policy: identity.policy, log });
const secretReport = reportSecrets({ sql, secrets: secretsOf(config), log });
const logLevel = followLogLevel({ log, normal: config.LOG_LEVEL, read: () => readLogLevel(sql, 'gateway') });
log.info('gateway ready');

onShutdown(log, [
  { name: 'drain', stop: () => draining.abort() },
  { name: 'farewell', stop: () => farewell(app.server) },
  { name: 'connections', stop: dropUnused },
  { name: 'http', stop: () => app.close() },
  { name: 'log level', stop: () => logLevel.stop() },
  { name: 'signing keys', stop: () => keyReport.stop() },
  { name: 'secrets', stop: () => secretReport.stop() },
  { name: 'audit', stop: () => audit.stop() },
  { name: 'embedder', stop: () => embedders.close() },
  { name: 'bootstrap', stop: () => bootstrap.stop() },
  { name: 'obedience', stop: () => obedience.stop() },
  { name: 'streams', stop: () => streams.stop() },
  { name: 'rates', stop: () => rates.close() },
  { name: 'identity', stop: () => identity.close() },
  { name: 'admission', stop: () => admission.stop() },
  { name: 'lanes', stop: () => lanes.stop() },
  { name: 'queues', stop: () => queues.close() },
  { name: 'subscribers', stop: () => [subscriber, policyNews].forEach((client) => client.close()) },
  { name: 'redis', stop: () => [redis, cache].forEach((client) => client.disconnect()) },
  {
    name: 'postgres',
    stop: () =>
      Promise.all(
        [sql, ledger, auditSql, recallSql, ...(replica ? [replica] : [])].map((pool) => pool.end({ timeout: 5 })),
      ),
  },
  { name: 'log sinks', stop: () => sinks.close() },
]);

/** New connections go elsewhere from now on; those there are answered, and each client told to leave, before they close. */
async function farewell(server: Server): Promise<void> {
  // HTTP's own `close` would end idle connections at once, some with a request on its way.
  NetServer.prototype.close.call(server);
  await wait(farewellMs);
}

/** Commands fail at once while Redis is away: whoever asks has another way, or says so. */
function connect(url: string): Redis {
  const client = openRedis(url, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: 500,
  });
  client.on('error', reportRedis);
  return client;
}
