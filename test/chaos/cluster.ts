import { randomBytes } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { seedDemoUsers } from '@flowstate/security';
import { createSql, migrate } from '@flowstate/store';
import { startOwnStores, startService, type ServiceProcess } from '@flowstate/test';
import type { Test } from 'tap';
import type { Findings } from './findings.ts';

export type Member = {
  /** e.g. `worker-2` */
  name: string;
  url: string;
  /** Ends it on purpose, now (SIGKILL) or in order (SIGTERM); resolves when it has ended. */
  kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  /** Starts it again; while a store is away as often as it takes, as a supervisor would. */
  start(): Promise<void>;
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
};

export type Cluster = {
  gateways: Member[];
  workers: Member[];
  controllers: Member[];
  redisUrl: string;
  /** Taken away at once, as by a power cut, and brought back at the same address. */
  stores: Record<'redis' | 'postgres', { kill(): Promise<void>; start(): Promise<void> }>;
  password: string;
  webhookSecret: string;
};

type Options = {
  findings: Findings;
  note: (line: string) => void;
  counts?: { gateways: number; workers: number; controllers: number };
};

const lastLines = 15;
const patienceMs = 60_000;

/** Stores that may be taken away and several processes of each service; the reason where that cannot be had. */
export async function startCluster(
  t: Pick<Test, 'teardown'>,
  { findings, note, counts = { gateways: 2, workers: 3, controllers: 2 } }: Options,
): Promise<Cluster | string> {
  const stores = await startOwnStores(t, (line) => {
    // The keeper of the stores starts again what died unasked, and says so.
    if (/ stopped \(/.test(line)) findings.add(`a store died that was not killed: ${line}`);
  });
  if (typeof stores === 'string') return stores;
  const { databaseUrl, redisUrl, redisCacheUrl } = stores;
  const secret = () => randomBytes(32).toString('base64url');
  const password = secret();
  await migrate(databaseUrl);
  const sql = createSql(databaseUrl, { name: 'flowstate-chaos', max: 1 });
  await seedDemoUsers(sql, { password });
  await sql.end();

  const shared = { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl, LOG_LEVEL: 'info' };
  const webhookSecret = `whsec_${randomBytes(32).toString('base64')}`;
  const hooks = { WEBHOOK_SECRET: webhookSecret, WEBHOOK_ALLOW_PRIVATE: 'true' };
  const workerKey = { WORKER_API_KEY: secret() };
  const gatewayEnv = {
    ...shared,
    ...workerKey,
    ...hooks,
    REDIS_CACHE_URL: redisCacheUrl,
    JWT_SECRET: secret(),
    JWT_ISSUER: 'flowstate-chaos',
    JWT_AUDIENCE: 'flowstate-chaos',
  };
  const started: Member[] = [];
  const processes: ServiceProcess[] = [];
  t.teardown(async () => {
    closing = true;
    await Promise.all(processes.filter((each) => each.running()).map((each) => each.kill('SIGKILL')));
  });
  let closing = false;
  let storesAway = 0;
  let storesBackAt = 0;
  const storesShaky = () => storesAway > 0 || Date.now() - storesBackAt < 5_000;

  async function join(service: string, index: number, env: Record<string, string>): Promise<Member> {
    const name = `${service}-${index + 1}`;
    const process = await startService(service, env);
    processes.push(process);
    let doomed = false;

    function watch(): void {
      const ended = process.ended();
      void (async () => {
        const how = await ended;
        if (doomed || closing) return;
        const words = process.log.slice(-lastLines).map((line) => JSON.stringify(line));
        findings.add(`${name} died on its own (${how.code ?? how.signal}); its last lines:\n${words.join('\n')}`);
      })();
    }
    watch();
    const member: Member = {
      name,
      url: process.url,
      kill(signal) {
        doomed = true;
        return process.kill(signal);
      },
      async start() {
        for (const deadline = Date.now() + patienceMs; ;) {
          try {
            await process.restart();
            doomed = false;
            watch();
            return;
          } catch (error) {
            if (!storesShaky())
              findings.add(`${name} did not start although its stores were there: ${(error as Error).message}`);
            if (Date.now() > deadline) throw error;
            note(`${name} did not start while a store was away; once more`);
            await wait(500);
          }
        }
      },
      signal: (signal) => process.signal(signal),
    };
    started.push(member);
    return member;
  }

  function store(name: 'redis' | 'postgres', signal: NodeJS.Signals) {
    return {
      async kill() {
        storesAway += 1;
        await (stores as Exclude<typeof stores, string>)[name].down(signal);
      },
      async start() {
        await (stores as Exclude<typeof stores, string>)[name].up();
        storesAway -= 1;
        storesBackAt = Date.now();
      },
    };
  }

  const several = (count: number, service: string, env: Record<string, string>) =>
    Promise.all(Array.from({ length: count }, (_, index) => join(service, index, env)));
  const gateways = await several(counts.gateways, 'gateway', gatewayEnv);
  const workerEnv = {
    ...shared,
    ...workerKey,
    GATEWAY_URL: (gateways[0] as Member).url,
    FLOWSTATE_WORKFLOWS: fileURLToPath(new URL('kinds', import.meta.url)),
  };
  const [workers, controllers] = await Promise.all([
    several(counts.workers, 'worker', workerEnv),
    several(counts.controllers, 'controller', { ...shared, ...hooks }),
  ]);
  return {
    gateways,
    workers,
    controllers,
    redisUrl,
    // SIGQUIT is what `pg_ctl stop -m immediate` sends: no checkpoint, recovery at the next start.
    stores: { redis: store('redis', 'SIGKILL'), postgres: store('postgres', 'SIGQUIT') },
    password,
    webhookSecret,
  };
}
