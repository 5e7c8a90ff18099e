import { randomBytes } from 'node:crypto';
import { seedDemoUsers } from '@flowstate/security';
import type { Role } from '@flowstate/contracts';
import type { Test } from 'tap';
import { createClient, type Client } from './client.ts';
import { createTestDatabase, type TestDatabase } from './database.ts';
import { createTestRedis, type TestRedis } from './redis.ts';
import { startService, type ServiceProcess } from './service-process.ts';

export type Platform = {
  database: TestDatabase;
  redis: TestRedis;
  gateway: ServiceProcess;
  worker: ServiceProcess;
  controller: ServiceProcess;
  /** A client that is logged in as the demo user of this role. */
  as(role: Role): Promise<Client>;
  /** One more worker on the same ledger and queues, with the same extra workflows or other ones. */
  addWorker(workflows?: string): Promise<ServiceProcess>;
  /** One more controller, which stands by while another leads. */
  addController(): Promise<ServiceProcess>;
  /** One more gateway; `env` differs from the first one's. */
  addGateway(env?: Record<string, string>): Promise<ServiceProcess>;
  secrets: { password: string; workerApiKey: string; jwtSecret: string; webhookSecret: string };
};

type Options = {
  /** Folder of extra workflows (FLOWSTATE_WORKFLOWS). */
  workflows?: string;
  env?: Record<string, string> | ((database: TestDatabase) => Promise<Record<string, string>>);
  /** Stores of the test's own, empty; by default a database of its own on the shared ones. */
  stores?: { databaseUrl: string; redisUrl: string; redisCacheUrl: string };
};

/** All three services as processes of their own, on a fresh database; everything ends at teardown. */
export async function startPlatform(
  t: Pick<Test, 'teardown'>,
  { workflows, env = {}, stores }: Options = {},
): Promise<Platform> {
  const [database, redis] = await Promise.all([createTestDatabase(t, stores?.databaseUrl), createTestRedis(t, stores)]);
  const secret = () => randomBytes(32).toString('base64url');
  const secrets = {
    password: secret(),
    workerApiKey: secret(),
    jwtSecret: secret(),
    webhookSecret: `whsec_${randomBytes(24).toString('base64')}`,
  };
  await seedDemoUsers(database.sql, { password: secrets.password });

  const more = typeof env === 'function' ? await env(database) : env;
  const shared = { DATABASE_URL: database.url, REDIS_URL: redis.url, LOG_LEVEL: 'info', ...more };
  const gatewayEnv = {
    REDIS_CACHE_URL: redis.cacheUrl,
    ...shared,
    JWT_SECRET: secrets.jwtSecret,
    JWT_ISSUER: 'flowstate-test',
    JWT_AUDIENCE: 'flowstate-test',
    WORKER_API_KEY: secrets.workerApiKey,
    WEBHOOK_SECRET: secrets.webhookSecret,
  };
  const gateway = await startService('gateway', gatewayEnv);
  const workerEnv = {
    ...shared,
    GATEWAY_URL: gateway.url,
    WORKER_API_KEY: secrets.workerApiKey,
    ...(workflows !== undefined && { FLOWSTATE_WORKFLOWS: workflows }),
  };
  const controllerEnv = { ...shared, WEBHOOK_SECRET: secrets.webhookSecret };
  const [worker, controller] = await Promise.all([
    startService('worker', workerEnv),
    startService('controller', controllerEnv),
  ]);
  const services = [worker, controller, gateway];
  t.teardown(async () => {
    await Promise.all(services.filter((service) => service.running()).map((service) => service.kill('SIGKILL')));
  });

  async function add(name: string, env: Record<string, string>): Promise<ServiceProcess> {
    const another = await startService(name, env);
    services.push(another);
    return another;
  }

  return {
    database,
    redis,
    gateway,
    worker,
    controller,
    secrets,
    as: (role) => createClient(gateway.url).login(`${role}@flowstate.local`, secrets.password),
    addWorker: (own) => add('worker', own === undefined ? workerEnv : { ...workerEnv, FLOWSTATE_WORKFLOWS: own }),
    addController: () => add('controller', controllerEnv),
    addGateway: (own = {}) => add('gateway', { ...gatewayEnv, ...own }),
  };
}
