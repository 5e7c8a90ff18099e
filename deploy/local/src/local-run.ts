import { once as onceEvent } from 'node:events';
import { migrate } from '@flowstate/store';
import { cacheDir } from '../host.mjs';
import { login } from './api.ts';
import { clone } from './clone.ts';
import type { Console } from './console.ts';
import { customerToShow, showInsight } from './demo.ts';
import { settleLocalEnv, type LocalEnv } from './local-env.ts';
import { createProcessRecord } from './processes.ts';
import { loadSample } from './sample.ts';
import { restartOnChange } from './reload.ts';
import { seed } from './seed.ts';
import { choosePorts } from './service-ports.ts';
import { createServices, localUrl } from './services.ts';
import { startStores, type Stores } from './stores.ts';
import type { StopRequest } from './stop-request.ts';
import { whereEverythingIs } from './where.ts';

export type Wanted = {
  /** Ends after the demonstration; its success is the exit code. */
  once: boolean;
  /** Loads the sample data. */
  sample: boolean;
  /** Does the main job and shows it. */
  demonstrate: boolean;
  /** Folders of workflows in the making: the worker starts again when they change. */
  workflows: readonly string[];
};

type Options = Wanted & { console: Console; stop: StopRequest; env: NodeJS.ProcessEnv };

/**
 * Brings everything up, shows what it does, and stays up until told to stop. Returns the exit code. However it ends,
 * services have stopped before the stores when it does.
 */
export async function runLocal({
  once,
  sample,
  demonstrate,
  workflows,
  console,
  stop,
  env: given,
}: Options): Promise<number> {
  const { signal } = stop;
  const env = workflows.length === 0 ? given : { ...given, FLOWSTATE_WORKFLOWS: workflows.join(',') };
  const host = env['HOST'] || '127.0.0.1';
  const ports = await choosePorts(host, env);
  const record = createProcessRecord(clone.processes);
  const endings: (() => Promise<void>)[] = [];
  try {
    const stores = await startStores({
      dataDir: clone.dir,
      cacheDir: cacheDir(env, clone.root),
      log: console.say,
      signal,
      env,
      record,
    });
    endings.unshift(() => stores.stop());
    console.say(`PostgreSQL (${stores.source.postgres}) and Redis (${stores.source.redis}) are up`);
    const urls = {
      ...urlsOf(stores),
      GATEWAY_URL: localUrl(host, ports.gateway),
      WORKER_URL: localUrl(host, ports.worker),
      CONTROLLER_URL: localUrl(host, ports.controller),
    };
    const settled = settleLocalEnv(clone.env, urls, env);
    const settings = await prepareDatabase(settled, { console, signal, env });

    const services = createServices({ ports, settings, env, record, log: console.say, onLine: console.line });
    stop.onForce(() => void services.kill());
    endings.unshift(() => services.stop());
    await services.start(signal);

    const admin = await login(settings.GATEWAY_URL, 'admin@flowstate.local', settings.DEMO_PASSWORD, signal);
    const database = stores.source.postgres === 'environment' ? withoutLogin(settings.DATABASE_URL) : 'own';
    if (sample) await loadSample(admin, { database, log: console.say, signal });
    const manager = await login(settings.GATEWAY_URL, 'manager@flowstate.local', settings.DEMO_PASSWORD, signal);
    const customerId = await customerToShow(manager);
    const { print, style } = console;
    const completed = !demonstrate || (await showInsight(manager, customerId, { print, colour: style.colour, signal }));
    print(whereEverythingIs({ host, ports, settings, once, customerId }));
    if (once) return completed ? 0 : 1;
    if (workflows.length > 0) {
      const restart = () => services.restartWorker(signal);
      console.say(`Watching ${workflows.join(', ')}`);
      await restartOnChange({ paths: workflows, restart, log: console.say, signal });
    } else await onceEvent(signal, 'abort');
    return 0;
  } finally {
    for (const end of endings) await end();
    record.clear();
    if (endings.length > 0) console.say('Everything is stopped.');
  }
}

async function prepareDatabase(
  settings: LocalEnv,
  { console, signal, env }: { console: Console; signal: AbortSignal; env: NodeJS.ProcessEnv },
): Promise<LocalEnv> {
  signal.throwIfAborted();
  const { applied } = await migrate(settings.DATABASE_URL);
  if (applied.length > 0) console.say(`Applied ${applied.length} migrations`);
  signal.throwIfAborted();
  const usable = await seed(settings, { log: console.say, env });
  signal.throwIfAborted();
  return usable;
}

function urlsOf({
  databaseUrl,
  redisUrl,
  redisCacheUrl,
}: Stores): Pick<LocalEnv, 'DATABASE_URL' | 'REDIS_URL' | 'REDIS_CACHE_URL'> {
  return { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl, REDIS_CACHE_URL: redisCacheUrl };
}

function withoutLogin(databaseUrl: string): string {
  const { host, pathname } = new URL(databaseUrl);
  return `${host}${pathname}`;
}
