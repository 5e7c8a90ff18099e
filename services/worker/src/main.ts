import { createHash } from 'node:crypto';
import {
  createRunConsumer,
  createRunPublisher,
  createRunQueues,
  hearPolicyNews,
  openRedis,
  type DeliveryResult,
} from '@flowstate/queue';
import {
  createLogger,
  createLogSinks,
  followLogLevel,
  measureCircuit,
  measureInstance,
  measureLogSinks,
  onShutdown,
  trackUnusedConnections,
} from '@flowstate/runtime';
import { costUsd, languageModelFrom, readPrices } from '@flowstate/models';
import { observeModelCalls } from '@flowstate/tracing';
import { createLanes, createSql, directUrl, publishWorkflow, readLogLevel } from '@flowstate/store';
import { laneQueue, queueNames, type Delivery, type RunJob } from '@flowstate/contracts';
import { createApp } from './app.ts';
import { createBackend } from './backend.ts';
import { createCatalogue, loadWorkflows } from './catalogue.ts';
import { readConfig } from './config.ts';
import { workerChecks } from './health.ts';
import { createIncarnation } from './incarnation.ts';
import { createWorkerLedger } from './ledger-port.ts';
import { createWorkerMetrics } from './metrics.ts';
import { createModelMetrics } from './model-metrics.ts';
import { createModelRate } from './model-rate.ts';
import { createRunner } from './runner.ts';
import { createSlots } from './slots.ts';
import { createSpending } from './spending.ts';
import { createThroughOutages } from './through-outages.ts';
import { ownUrl } from './own-url.ts';
import { shippedWorkflows } from './workflows/index.ts';

const drainGraceMs = 5_000;

const config = readConfig(process.env);
const sinks = createLogSinks('worker', config);
const log = createLogger('worker', config.LOG_LEVEL, sinks);
const reportRedis = (err: Error) => log.warn({ err: err.message }, 'redis');

const language = languageModelFrom(config);
const shipped = shippedWorkflows(config);
const own = config.FLOWSTATE_WORKFLOWS === undefined ? [] : await loadWorkflows(config.FLOWSTATE_WORKFLOWS);
const catalogue = createCatalogue([...shipped.workflows, ...own]);
const bundle = createHash('sha256')
  .update(
    catalogue.all
      .map((workflow) => `${workflow.name}@${workflow.version}`)
      .toSorted()
      .join(),
  )
  .digest('hex')
  .slice(0, 12);

// What is opened here and by the incarnation counts as `connectionsPerWorker` in packages/scaling.
const sql = createSql(config.DATABASE_URL, { name: 'flowstate-worker', max: 6, ledger: true });
const claimSql = createSql(config.DATABASE_URL, {
  name: 'flowstate-worker-claims',
  max: 2,
  ledger: true,
  lazyCommit: true,
});
const carries: number[] = [];
for (const { name, version, description, queue, input, output, concurrency } of catalogue.all) {
  const schemas = { input: { ...input }, output: { ...output } };
  const caps = concurrency === undefined ? {} : { concurrency };
  carries.push(await publishWorkflow(sql, { name, version, description, queue, ...schemas, ...caps }));
}

const metrics = createWorkerMetrics(config, {
  workflows: catalogue.all.map(({ name }) => name),
  concurrency: config.WORKER_CONCURRENCY,
  activeRuns: () => runner.held().length,
});
measureLogSinks(metrics.registry, sinks);
if (shipped.circuit !== null) measureCircuit(metrics.registry, 'embeddings_endpoint', shipped.circuit.state);
if (language !== null) measureCircuit(metrics.registry, 'language_model_endpoint', language.circuit.state);
const lanes = createLanes(sql, (err) => log.warn({ err }, 'lanes could not be read'));
const queues = createRunQueues(config.REDIS_URL, lanes, reportRedis);
/** Redis away: the controller delivers them later. */
const deliver = (deliveries: Delivery[]) =>
  void queues.deliver(deliveries).catch((err: unknown) => log.warn({ err, runs: deliveries.length }, 'not delivered'));
const redis = openRedis(config.REDIS_URL, { enableOfflineQueue: false, maxRetriesPerRequest: 0 });
redis.on('error', reportRedis);

const incarnation = await createIncarnation({
  databaseUrl: directUrl(config),
  sql,
  log,
  bundle,
  carries,
  concurrency: config.WORKER_CONCURRENCY,
  url: () => ownUrl(config, app.server.address()),
});
const backendFor = createBackend({
  gatewayUrl: config.GATEWAY_URL,
  workerApiKey: config.WORKER_API_KEY,
  incarnation: incarnation.id,
  onRequest: metrics.backendAnswered,
});
const prices = readPrices(config);
const models = [...(language?.model.models ?? []), ...Object.keys(prices), ...shipped.embeddingModels];
const modelMetrics = createModelMetrics(metrics.registry, models);
observeModelCalls({ costUsd: (model, used) => costUsd(prices, model, used), onCall: modelMetrics.onCall });
const spending = createSpending({
  sql,
  owner: incarnation.id,
  prices,
  rate: createModelRate(redis, { requests: config.LLM_REQUESTS_PER_MINUTE, tokens: config.LLM_TOKENS_PER_MINUTE }, log),
  throughOutages: createThroughOutages(log),
  onDecision: modelMetrics.onDecision,
});
const runner = createRunner({
  sql,
  log,
  catalogue,
  ledger: createWorkerLedger({
    sql,
    claimSql,
    incarnation: incarnation.id,
    carries,
    log,
    now: incarnation.now,
    confirmed: incarnation.confirmed,
    held: () => runner.held(),
    deliver,
  }),
  incarnation: incarnation.id,
  backendFor,
  model: language?.model,
  spending,
  publish: createRunPublisher(redis),
  deliver,
  metrics,
});

let draining = false;
const app = createApp({
  log,
  registry: metrics.registry,
  metricsToken: config.METRICS_TOKEN,
  gatewayUrl: config.GATEWAY_URL,
  workerApiKey: config.WORKER_API_KEY,
  incarnation: incarnation.id,
  checks: () => workerChecks({ sql, redis, silentMs: incarnation.silentMs }),
  draining: () => draining,
  runOwned: runner.runOwned,
});
measureInstance(metrics.registry, 'worker', () => incarnation.id());
incarnation.keepAlive(runner);
const policyNews = hearPolicyNews(config.REDIS_URL, { onNews: () => incarnation.hurry(), onError: reportRedis });

const consume = (queue: string, concurrency: number, handle: (job: RunJob) => Promise<DeliveryResult>) =>
  createRunConsumer({ redisUrl: config.REDIS_URL, queue, concurrency, handle, onError: reportRedis });
const consumeAll = () =>
  queueNames.flatMap((queue) => {
    // Both lanes share the places of one queue.
    const slots = createSlots(config.WORKER_CONCURRENCY);
    const deliverInSlot = ({ runId }: RunJob) => slots.run(() => runner.deliver(runId));
    return [
      consume(laneQueue(queue, 'common'), config.WORKER_CONCURRENCY, deliverInSlot),
      consume(laneQueue(queue, { bundle }), config.WORKER_CONCURRENCY, deliverInSlot),
      consume(laneQueue(queue, 'suspects'), 1, ({ runId }) => runner.deliverSuspect(runId)),
    ];
  });
let consumers: ReturnType<typeof consumeAll> = [];

const logLevel = followLogLevel({ log, normal: config.LOG_LEVEL, read: () => readLogLevel(sql, 'worker') });
const dropUnused = trackUnusedConnections(app.server);
// Before the first run can be in hand here: a SIGTERM that finds no drain would kill it.
onShutdown(log, [
  {
    name: 'drain',
    async stop() {
      draining = true;
      const closing = consumers.map((consumer) => consumer.close());
      await runner.drain(drainGraceMs);
      await Promise.all(closing);
    },
  },
  { name: 'connections', stop: dropUnused },
  { name: 'http', stop: () => app.close() },
  { name: 'log level', stop: () => logLevel.stop() },
  { name: 'incarnation', stop: () => incarnation.end() },
  { name: 'embedder', stop: () => shipped.close() },
  { name: 'lanes', stop: () => lanes.stop() },
  { name: 'queues', stop: () => queues.close() },
  { name: 'redis', stop: () => [policyNews.close(), redis.disconnect()] },
  { name: 'postgres', stop: () => Promise.all([sql.end({ timeout: 5 }), claimSql.end({ timeout: 5 })]) },
  { name: 'log sinks', stop: () => sinks.close() },
]);
await app.listen({ host: config.HOST, port: config.PORT });
// A run that kills its worker kills one that was seen to be up.
if (!draining) consumers = consumeAll();
log.info(
  { incarnation: incarnation.id(), bundle, workflows: catalogue.all.map(({ name, version }) => `${name}@${version}`) },
  'worker ready',
);
