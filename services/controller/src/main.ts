import { randomUUID } from 'node:crypto';
import { createRunPublisher, createRunQueues, openRedis } from '@flowstate/queue';
import {
  checkMetricsToken,
  createLogger,
  createLogSinks,
  followLogLevel,
  measureLogSinks,
  onShutdown,
  problemErrors,
  timedCheck,
  trackUnusedConnections,
} from '@flowstate/runtime';
import {
  createLanes,
  createSql,
  directUrl,
  ensureAuditPartitions,
  ensureLedgerPartitions,
  readLogLevel,
} from '@flowstate/store';
import Fastify, { LogController, type FastifyBaseLogger } from 'fastify';
import { budgetMetrics } from './budget-metrics.ts';
import { createBudgetResumer } from './budget-resumer.ts';
import { createCensus } from './census.ts';
import { readConfig, rehearsalCron } from './config.ts';
import { createExpirer, createOrphanCanceller } from './expirer.ts';
import { createFeeder } from './feeder.ts';
import { createDimensionIndexer } from './index-dimensions.ts';
import { createLeader } from './leader.ts';
import { startLoop } from './loop.ts';
import { createControllerMetrics } from './metrics.ts';
import { createForgottenDocuments } from './forgotten-documents.ts';
import { createPartsBackfill } from './parts-backfill.ts';
import { createRehearser } from './rehearser.ts';
import { retentionMetrics } from './retention-metrics.ts';
import { createRetention } from './retention.ts';
import { createScaling } from './scaling/scaling.ts';
import { readHttpTls } from './scaling/scaling-settings.ts';
import { createScheduler } from './scheduler.ts';
import { createSealer } from './sealer.ts';
import { createSecretWatch, secretMetrics } from './secret-metrics.ts';
import { createSweeper } from './sweeper.ts';
import { createWebhooks } from './webhooks/webhooks.ts';

const config = readConfig(process.env);
const sinks = createLogSinks('controller', config);
const log = createLogger('controller', config.LOG_LEVEL, sinks);
const sql = createSql(config.DATABASE_URL, { name: 'flowstate-controller', max: 4, ledger: true });
const lanes = createLanes(sql, (err) => log.warn({ err }, 'lanes could not be read'));
const queues = createRunQueues(config.REDIS_URL, lanes, (err) => log.warn({ err: err.message }, 'redis'));
const redis = openRedis(config.REDIS_URL, { enableOfflineQueue: false, maxRetriesPerRequest: 0 });
redis.on('error', (err) => log.warn({ err: err.message }, 'redis'));
// Retention reads whole weeks: it plans freely, and takes no connection from the rest.
const retentionSql = createSql(config.DATABASE_URL, { name: 'flowstate-retention', max: 1 });
const publish = createRunPublisher(redis);
const leader = createLeader(directUrl(config), log);
const census = createCensus({ sql, lanes, leads: leader.leads });
const feeder = createFeeder({
  sql,
  queues,
  lanes,
  windowSize: config.QUEUE_WINDOW,
  onFed: (queue, runs) => metrics.fed.inc({ queue }, runs),
});
const metrics = createControllerMetrics(config, { queues, sql, census, feeder, log });
measureLogSinks(metrics.registry, sinks);
secretMetrics(metrics.registry, sql, log);
budgetMetrics(metrics.registry, sql, log);
const scaling = createScaling({ config, sql, queues, census, registry: metrics.registry, log });
const rehearse = createRehearser({ sql, redis, registry: metrics.registry, log, cron: rehearsalCron(config) });
const sweeper = createSweeper({
  sql,
  queues,
  log,
  onReclaimed: (runs) => metrics.reclaimed.inc(runs),
  onReturned: (runs) => metrics.returned.inc(runs),
});
const expire = createExpirer({ sql, queues, publish, log });
const retain = createRetention({
  sql: retentionSql,
  log,
  days: config.RETENTION_DAYS,
  maxRuns: config.RETENTION_MAX_RUNS,
  onDeleted: retentionMetrics(metrics.registry, sql, log),
});
const webhooks = createWebhooks({ config, sql, registry: metrics.registry, log });
const fireSchedules = createScheduler({ sql, queues, publish, log, onFired: metrics.observeFired });
const everybody = { leads: () => true };
const loops = [
  startLoop({ name: 'reclaiming', everyMs: 100, leader, log, work: sweeper.reclaim }),
  // Both read every live row: 100,000 of them take tens of milliseconds of Postgres.
  startLoop({
    name: 'finding undelivered runs',
    everyMs: 1_000,
    share: 0.05,
    leader,
    log,
    work: sweeper.findUndelivered,
  }),
  startLoop({ name: 'feeding', everyMs: 100, leader, log, work: feeder.feed }),
  // Everybody counts: whoever is asked for metrics must know.
  startLoop({ name: 'counting', everyMs: 500, share: 0.05, leader: everybody, log, work: census.count }),
  startLoop({ name: 'deciding on scaling', everyMs: 1_000, share: 0.2, leader, log, work: scaling.decide }),
  ...(scaling.markPods === undefined ? [] : [startLoop({ name: 'marking pods', leader, log, ...scaling.markPods })]),
  startLoop({ name: 'ending expired runs', everyMs: 250, leader, log, work: expire }),
  startLoop({
    name: 'cancelling children of cancelled runs',
    everyMs: 1_000,
    share: 0.05,
    leader,
    log,
    work: createOrphanCanceller({ sql, queues, publish, log }),
  }),
  startLoop({
    name: 'resuming paused runs',
    everyMs: 1_000,
    share: 0.2,
    leader,
    log,
    work: createBudgetResumer({ sql, queues, log }),
  }),
  startLoop({ name: 'retention', everyMs: 1_000, leader, log, work: retain }),
  startLoop({ name: 'delivering webhooks', everyMs: 250, leader, log, work: webhooks.deliver }),
  startLoop({ name: 'firing schedules', everyMs: 200, leader, log, work: fireSchedules }),
  startLoop({ name: 'watching the age of secrets', everyMs: 10_000, leader, log, work: createSecretWatch(sql, log) }),
  startLoop({
    name: 'embedding long documents in parts',
    everyMs: 5_000,
    leader,
    log,
    work: createPartsBackfill({ sql, log }),
  }),
  startLoop({
    name: 'starting runs of stored documents',
    everyMs: 5_000,
    leader,
    log,
    work: createForgottenDocuments({ sql, log }),
  }),
  startLoop({
    name: 'indexing new dimensions of embeddings',
    // Writers wait while it is made: the sooner, the less there is to index.
    everyMs: 1_000,
    leader,
    log,
    work: createDimensionIndexer({ sql, log }),
  }),
  // At each start, too, whoever leads by then.
  startLoop({
    name: "making the ledger's partitions ahead of time",
    everyMs: 3_600_000,
    leader: everybody,
    log,
    work: () => ensureLedgerPartitions(sql),
  }),
  startLoop({
    name: "making the audit log's partitions ahead of time",
    everyMs: 3_600_000,
    leader: everybody,
    log,
    work: () => ensureAuditPartitions(sql),
  }),
  startLoop({ name: 'rehearsing a rotation', everyMs: 5_000, leader, log, work: rehearse }),
  startLoop({
    name: 'sealing the audit log',
    everyMs: 1_000,
    leader,
    log,
    work: createSealer({ sql, log, onHead: ({ total }) => metrics.sealed.set(total) }),
  }),
];
const logLevel = followLogLevel({ log, normal: config.LOG_LEVEL, read: () => readLogLevel(sql, 'controller') });

const loggerInstance: FastifyBaseLogger = log;
const app = Fastify({
  loggerInstance,
  genReqId: () => randomUUID(),
  logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
  https: readHttpTls(config) ?? null,
});
problemErrors(app);
app.get('/health', async (_request, reply) => {
  const checks = await Promise.all([
    timedCheck('postgres', () => sql`SELECT 1`),
    timedCheck('redis', () => queues.counts('workflows')),
  ]);
  // Redis away is degraded, not dead: the ledger keeps what is accepted.
  const [postgres, redis] = checks.map((check) => check.ok);
  return reply.code(postgres ? 200 : 503).send({ status: postgres && redis ? 'ok' : 'degraded', checks });
});
app.get('/metrics', async (request, reply) => {
  checkMetricsToken(request.headers.authorization, config.METRICS_TOKEN);
  return reply.type(metrics.registry.contentType).send(await metrics.registry.metrics());
});
scaling.serve(app);
const dropUnused = trackUnusedConnections(app.server);
await scaling.listen();
await app.listen({ host: config.HOST, port: config.PORT });
log.info('controller ready');

onShutdown(log, [
  { name: 'loops', stop: () => Promise.all(loops.map((loop) => loop.stop())) },
  { name: 'log level', stop: () => logLevel.stop() },
  { name: 'leader', stop: () => leader.stop() },
  { name: 'scaler', stop: () => scaling.stop() },
  { name: 'webhooks', stop: () => webhooks.close() },
  { name: 'connections', stop: dropUnused },
  { name: 'http', stop: () => app.close() },
  { name: 'lanes', stop: () => lanes.stop() },
  { name: 'queues', stop: () => queues.close() },
  { name: 'redis', stop: () => redis.disconnect() },
  { name: 'postgres', stop: () => Promise.all([sql.end({ timeout: 5 }), retentionSql.end({ timeout: 5 })]) },
  { name: 'log sinks', stop: () => sinks.close() },
]);
