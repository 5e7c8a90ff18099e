import { createHash, createHmac } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { createSql } from '@flowstate/store';
import { createTestRedis } from '@flowstate/test';
import { Redis } from 'ioredis';
import type { Bench, Surroundings } from '../bench.ts';
import { startProcess, type BenchProcess } from '../bench-process.ts';
import { startProduct, type RunningProduct } from '../contenders/product.ts';
import type { Measured } from '../runs/in-turn.ts';
import { monotonicMicroseconds, topFunctions } from '../profile.ts';
import { settleStores, startBenchStores, type BenchStores } from '../stores.ts';
import { collection, storePerturbed, storeReal } from './corpus.ts';
import { embeddingsOf } from './embeddings.ts';
import { ingestRate, modelRate } from './ingest.ts';
import { cachedBodies, measureAsked, uncachedRoute, type Contestant, type Figures, type Route } from './measure.ts';
import { optionsText, readOptions, type Part, type SearchPlan } from './options.ts';
import { recallAt10 } from './recall.ts';
import { measureReplica, replicaTable } from './replica-part.ts';
import { targetsOf, textOf, ways, type SearchReport } from './report.ts';
import { benchQueries, benchTexts } from './texts.ts';

/** Texts that are asked for again and again; each is embedded once. */
const cachedQueries = 20;

/** Vector search over HTTP beside the bare statements and the barest cache. */
export const searchBench: Bench = {
  summary: 'vector search over HTTP beside bare SQL, bare Redis and the embedding model alone',
  options: optionsText,
  async run(args, surroundings) {
    const { plan, json, profileDir, only } = readOptions(args);
    const wanted = (name: Part) => only.includes(name);
    const { log, cleanup } = surroundings;
    const texts = benchTexts(plan.real + plan.ingested);
    const real = texts.slice(0, plan.real);
    const all = benchTexts(10_000).map(({ text }) => text);
    const queries = await embeddingsOf('queries', benchQueries(500), plan.queries, surroundings);
    const embeddings = await embeddingsOf('documents', all, plan.real, surroundings);

    const stores = await startBenchStores(surroundings);
    const dir = profileDir === undefined ? undefined : resolve(profileDir);
    let gatewayEnv: Record<string, string> = {};
    const product = await startProduct({ stores, cleanup, concurrency: 8, profileDir: dir }, 'bench-four-steps', {
      async launch(_until, { name, env }) {
        if (name === 'gateway') gatewayEnv = env;
        return undefined; // as a process, as ever
      },
    });
    await liftRateLimit(product);
    const client = await product.as('integration');
    log(`storing ${plan.real} documents`);
    await storeReal(product.database.sql, real, embeddings);
    const recall = wanted('uncached') ? await recallAt10(client, queries, embeddings) : null;
    if (recall !== null) log(`recall@10 of ${queries.length} queries: ${recall.toFixed(4)}`);

    const floor = await startFloor(product, { ...surroundings, stores });

    const begun = monotonicMicroseconds();
    const levels: Record<string, Measured<Figures>> = {};
    const measureLevel = async (documents: number) => {
      await settleStores(stores);
      levels[documents] = await measureUncached(product, floor, queries, plan, { ...surroundings, stores });
    };
    if (wanted('uncached')) await measureLevel(plan.real);
    await settleStores(stores);
    const cached: Record<string, Measured<Figures>> = {};
    for (const concurrency of wanted('cached') ? [plan.concurrency, plan.crowd] : []) {
      const asking = { ...plan, concurrency };
      cached[concurrency] = await measureCached(product, floor, asking, { ...surroundings, stores });
    }
    const stretch = { from: begun, to: monotonicMicroseconds() };
    const ingested = texts.slice(plan.real).map(({ text }) => text);
    const ingest = wanted('ingest') ? await measureIngest(product, ingested, plan, surroundings) : null;
    const replica = wanted('replica')
      ? await measureReplica({ product, gatewayEnv, queries, plan, stores, ...surroundings })
      : null;
    if (wanted('growth')) {
      log(`growing to ${plan.grown} documents`);
      await storePerturbed(product.database.sql, plan.grown, real, embeddings);
      await measureLevel(plan.grown);
    }

    const report: SearchReport = {
      uncached: mediansOf(levels),
      cached: mediansOf(cached),
      recall,
      ingest,
    };
    const targets = targetsOf(report);
    const machine = await machineOf(stores);
    if (json !== undefined) {
      const rounds = {
        ...Object.fromEntries(Object.entries(levels).map(([name, each]) => [name, each.rounds])),
        cached: Object.fromEntries(Object.entries(cached).map(([name, each]) => [name, each.rounds])),
      };
      await writeFile(json, `${JSON.stringify({ machine, plan, ...report, targets, rounds }, null, 2)}\n`);
    }
    console.log(`\n${machine}; ${plan.concurrency} at a time where nothing else is said, medians of ${plan.rounds}\n`);
    if (only.some((part) => part !== 'replica')) console.log(textOf(report, targets));
    if (replica !== null) console.log(`\n${replicaTable(replica)}`);
    if (dir !== undefined) {
      await cleanup.run(); // a process writes its profile when it ends
      console.log(`\n${await topFunctions(join(dir, 'gateway.cpuprofile'), stretch, 30)}`);
    }
  },
};

function mediansOf(measured: Record<string, Measured<Figures>>): Record<string, Record<string, Figures>> {
  return Object.fromEntries(Object.entries(measured).map(([name, { medians }]) => [name, medians]));
}

/** What answers over HTTP and does nothing else. */
type Floor = { process: BenchProcess; redis: Redis; cacheUrl: string; headers: Record<string, string> };

async function startFloor(
  { databaseUrl }: RunningProduct,
  { cleanup, stores }: Surroundings & { stores: BenchStores },
): Promise<Floor> {
  const { cacheUrl } = await createTestRedis(cleanup, stores);
  const redis = new Redis(cacheUrl);
  cleanup.teardown(() => redis.disconnect());
  const secret = 'a secret of thirty-two bytes or more';
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'HS256', typ: 'at+jwt' })}.${part({ sub: 'bench', sid: 'bench' })}`;
  const signature = createHmac('sha256', secret).update(signed).digest('base64url');
  await redis.mset('session:bench', JSON.stringify({ userId: 'bench', role: 'integration' }), 'version', '1');
  const process = await startProcess(cleanup, {
    name: 'bare-search',
    file: 'test/bench/search/bare-search.ts',
    ready: '/health',
    env: { REDIS_CACHE_URL: cacheUrl, DATABASE_URL: databaseUrl, TOKEN_SECRET: secret },
  });
  return { process, redis, cacheUrl, headers: { authorization: `Bearer ${signed}.${signature}` } };
}

function routeOf({ target: { url, headers } }: RunningProduct): Route {
  return { url, path: '/api/search/semantic', headers };
}

function measureUncached(
  product: RunningProduct,
  floor: Floor,
  queries: readonly Float32Array[],
  plan: SearchPlan,
  surroundings: Surroundings & { stores: BenchStores },
) {
  const { databaseUrl, processes } = product;
  const connections = plan.concurrency;
  const vectors = queries.map((query) => [...query]);
  const bare = (kind: 'match_documents' | 'select') => () =>
    ({ kind, databaseUrl, collection, vectors, connections }) as const;
  const contestants: Contestant[] = [
    {
      name: ways.route,
      process: processes[0],
      questions: () => uncachedRoute(routeOf(product), queries, connections),
    },
    {
      name: ways.bareRoute,
      process: floor.process,
      questions: () => uncachedRoute({ url: floor.process.url, path: '/uncached', headers: {} }, queries, connections),
    },
    { name: ways.matchDocuments, questions: bare('match_documents') },
    { name: ways.select, questions: bare('select') },
  ];
  return measureAsked(contestants, plan, surroundings);
}

/** The same bodies for all, and the same answers: the bare cache is filled with the product's. */
async function measureCached(
  product: RunningProduct,
  { process, redis, cacheUrl, headers }: Floor,
  plan: SearchPlan,
  surroundings: Surroundings & { stores: BenchStores },
) {
  const bodies = cachedBodies(benchQueries(cachedQueries));
  const client = await product.as('integration');
  const keys: string[] = [];
  for (const body of bodies) {
    const { body: answer } = await client.post('/api/search/semantic', JSON.parse(body));
    const key = `bare:${createHash('sha256').update(body).digest('base64url')}`;
    await redis.set(key, JSON.stringify(answer));
    keys.push(key);
  }
  const http = { kind: 'http', bodies, connections: plan.concurrency } as const;
  const { url } = process;
  const contestants: Contestant[] = [
    { name: ways.cachedRoute, process: product.processes[0], questions: () => ({ ...http, ...routeOf(product) }) },
    { name: ways.provenCache, process, questions: () => ({ ...http, url, path: '/cached/proven', headers }) },
    { name: ways.bareCache, process, questions: () => ({ ...http, url, path: '/cached', headers: {} }) },
    { name: ways.redis, questions: () => ({ kind: 'redis', url: cacheUrl, keys }) },
  ];
  return measureAsked(contestants, plan, surroundings);
}

/** In turn; of each, the best of its rounds is what it can do. */
async function measureIngest(
  product: RunningProduct,
  texts: readonly string[],
  { rounds }: SearchPlan,
  { signal, log }: Surroundings,
): Promise<NonNullable<SearchReport['ingest']>> {
  const client = await product.as('integration');
  const each = Math.floor(texts.length / rounds);
  const rates = { model: 0, product: 0 };
  for (let round = 0; round < rounds; round++) {
    const some = texts.slice(round * each, (round + 1) * each);
    const model = await modelRate(some, signal);
    const ingested = await ingestRate(client, some, `round-${round}`);
    log(`ingest round ${round + 1}: the model ${model.toFixed(1)}, an import ${ingested.toFixed(1)} documents/s`);
    rates.model += model / rounds;
    rates.product += ingested / rounds;
  }
  return rates;
}

/** Sixty thousand requests a minute of one principal are what a bench asks in seconds. */
async function liftRateLimit({ as }: RunningProduct): Promise<void> {
  const admin = await as('admin');
  const body = { value: 1_000_000_000, reason: 'bench' };
  const { status } = await admin.call('PUT', '/api/admin/flags/rate.principal', { body });
  if (status !== 200) throw new Error(`the rate limit could not be lifted: ${status}`);
}

async function machineOf({ databaseUrl }: BenchStores): Promise<string> {
  const sql = createSql(databaseUrl, { name: 'flowstate-bench', max: 1 });
  const [server] = await sql<{ version: string; pgvector: string }[]>`
    SELECT current_setting('server_version') AS version,
           (SELECT default_version FROM pg_available_extensions WHERE name = 'vector') AS pgvector`;
  await sql.end();
  return `${availableParallelism()} × ${cpus()[0]?.model ?? 'CPU'}, Node ${process.versions.node}, PostgreSQL ${server?.version}, pgvector ${server?.pgvector}`;
}
