import { randomBytes } from 'node:crypto';
import { seedDemoUsers } from '@flowstate/security';
import { createClient, createTestDatabase, createTestRedis, type Client, type TestDatabase } from '@flowstate/test';
import type { Role } from '@flowstate/contracts';
import { startProcess, type BenchProcess } from '../bench-process.ts';
import type { Cleanup } from '../cleanup.ts';
import type { Contender, Running, Stage } from './contender.ts';
import { requestBody } from './payload.ts';

/** This system with everything on but telemetry. */
export const product: Contender = {
  name: 'product',
  title: 'Flowstate',
  start: (stage) => startProduct(stage, 'bench-four-steps'),
};

/** The same with a flush before every next step. */
export const strict: Contender = {
  name: 'strict',
  title: 'Flowstate, strict',
  start: (stage) => startProduct(stage, 'bench-four-strict-steps'),
};

export type RunningProduct = Running & {
  database: TestDatabase;
  /** A client that is logged in as the demo user of this role. */
  as(role: Role): Promise<Client>;
  /** One more worker, which ends with `until`. */
  startWorker(until: Cleanup, own?: Record<string, string>): Promise<BenchProcess>;
};

type Launched = { name: string; env: Record<string, string>; ready: string };
type Options = {
  worker?: boolean;
  env?: Record<string, string>;
  /** Starts a service in another way; undefined: as a process. */
  launch?(until: Cleanup, service: Launched): Promise<BenchProcess | undefined>;
};

/** Gateway, worker and controller as processes of their own, and a client that is logged in. */
export async function startProduct(
  { stores, cleanup, concurrency, profileDir }: Stage,
  workflow: string,
  { worker = true, env = {}, launch = async () => undefined }: Options = {},
): Promise<RunningProduct> {
  const database = await createTestDatabase(cleanup, stores.databaseUrl);
  const redis = await createTestRedis(cleanup, stores);
  const secret = () => randomBytes(32).toString('base64url');
  const password = secret();
  const workerApiKey = secret();
  await seedDemoUsers(database.sql, { password });
  const shared = { DATABASE_URL: database.url, REDIS_URL: redis.url, LOG_LEVEL: 'info', ...env };
  const start = async (name: string, ready: string, own: Record<string, string>, until = cleanup) => {
    const service = { name, ready, env: { ...shared, ...own } };
    const file = `services/${name}/src/main.ts`;
    return (await launch(until, service)) ?? (await startProcess(until, { ...service, file, profileDir }));
  };
  const gateway = await start('gateway', '/api/ready', {
    REDIS_CACHE_URL: redis.cacheUrl,
    JWT_SECRET: secret(),
    JWT_ISSUER: 'flowstate-bench',
    JWT_AUDIENCE: 'flowstate-bench',
    WORKER_API_KEY: workerApiKey,
  });
  const controller = await start('controller', '/health', {});
  const workerEnv = {
    GATEWAY_URL: gateway.url,
    WORKER_API_KEY: workerApiKey,
    WORKER_CONCURRENCY: `${concurrency}`,
    FLOWSTATE_WORKFLOWS: 'test/bench/workflows',
  };
  const startWorker = (until: Cleanup, own = {}) => start('worker', '/ready', { ...workerEnv, ...own }, until);
  const workers = worker ? [await startWorker(cleanup)] : [];
  const as = (role: Role) => createClient(gateway.url).login(`${role}@flowstate.local`, password);
  const { token } = await as('manager');
  return {
    target: {
      url: gateway.url,
      path: `/api/workflows/${workflow}/runs`,
      headers: { authorization: `Bearer ${token}` },
      body: requestBody,
      redisUrl: redis.url,
      events: '{flowstate}:workflows:events',
    },
    processes: [gateway, controller, ...workers],
    databaseUrl: database.url,
    database,
    as,
    startWorker,
    async checkFinished(accepted) {
      const [row] = await database.sql<{ live: number; completed: number }[]>`
        SELECT (SELECT count(*) FROM run_live) AS live,
               (SELECT count(*) FROM run_ends JOIN runs USING (id) WHERE state = 'completed' AND NOT 'seeded' = ANY(tags))
                 AS completed`;
      if (row?.live !== 0 || row.completed !== accepted) {
        throw new Error(`${accepted} runs were accepted, ${row?.completed} are completed and ${row?.live} not ended`);
      }
    },
  };
}
