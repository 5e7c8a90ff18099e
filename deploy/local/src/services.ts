import { join } from 'node:path';
import { ControllerConfig } from '../../../services/controller/src/config.ts';
import { GatewayConfig } from '../../../services/gateway/src/config.ts';
import { WorkerConfig } from '../../../services/worker/src/config.ts';
import { clone } from './clone.ts';
import { keepAlive, until, type Kept } from './keep-alive.ts';
import type { LocalEnv } from './local-env.ts';
import { messageOf } from '@flowstate/runtime';
import type { ProcessRecord } from './processes.ts';

export type ServiceName = 'gateway' | 'worker' | 'controller';
/** `scaler`: the controller's second one, for KEDA. */
export type ServicePorts = Record<ServiceName | 'scaler', number>;

const services = {
  gateway: { config: GatewayConfig, ready: '/api/ready' },
  worker: { config: WorkerConfig, ready: '/ready' },
  controller: { config: ControllerConfig, ready: '/health' },
} as const;

type Options = {
  ports: ServicePorts;
  settings: LocalEnv;
  env: NodeJS.ProcessEnv;
  record: ProcessRecord;
  log: (line: string) => void;
  onLine: (name: ServiceName, line: string) => void;
};

export type Services = {
  start(signal: AbortSignal): Promise<void>;
  /** Workers first, which need the gateway to bring a step to its end. */
  stop(): Promise<void>;
  /** The worker takes leave of its runs and comes back with what its files say now. */
  restartWorker(signal: AbortSignal): Promise<void>;
  /** Ends them at once, without draining. */
  kill(): Promise<void>;
};

/** The three services as processes of their own, each with only the variables its configuration names. */
export function createServices({ ports, settings, env, record, log, onLine }: Options): Services {
  const host = env['HOST'] || '127.0.0.1';
  const kept = Object.fromEntries(
    (['gateway', 'worker', 'controller'] as const).map((name) => [name, keepAlive(specOf(name), { log, record })]),
  ) as Record<ServiceName, Kept>;

  function specOf(name: ServiceName): Parameters<typeof keepAlive>[0] {
    const url = new URL(services[name].ready, localUrl(host, ports[name]));
    const telemetry =
      env['OTEL_ENABLED'] === 'true' ? ['--import', join(clone.root, 'packages/runtime/src/telemetry.ts')] : [];
    return {
      name,
      command: process.execPath,
      args: [...telemetry, join(clone.root, 'services', name, 'src/main.ts')],
      cwd: clone.root,
      env: serviceEnv(name, { ports, settings, env }),
      address: url.href,
      onLine: (line) => onLine(name, line),
      readable: messageOf,
      ready: (signal) => until(() => answersOk(url, signal), { signal, timeoutMs: 60_000, what: name }),
      graceMs: 30_000,
    };
  }

  return {
    async start(signal) {
      // The first failure ends the others' waiting, and is the one worth reporting.
      const given = new AbortController();
      let failure: unknown;
      const up = async (service: Kept): Promise<void> => {
        try {
          await service.up(AbortSignal.any([signal, given.signal]));
        } catch (error) {
          failure ??= error;
          given.abort();
        }
      };
      await Promise.all(Object.values(kept).map(up));
      if (failure !== undefined) throw failure;
    },
    async stop() {
      await kept.worker.down();
      await Promise.all([kept.gateway.down(), kept.controller.down()]);
    },
    async restartWorker(signal) {
      await kept.worker.down();
      await kept.worker.up(signal);
    },
    async kill() {
      await Promise.all(Object.values(kept).map((service) => service.down('SIGKILL')));
    },
  };
}

/** Address on this machine of a server that listens on `host`. */
export function localUrl(host: string, port: number): string {
  return `http://${host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host}:${port}`;
}

/** What any process may need to find its files, time zone, certificates and proxies, and Node its heap. */
const everywhere = [
  'HOME',
  'LANG',
  'TZ',
  'NODE_OPTIONS',
  'NODE_EXTRA_CA_CERTS',
  'SSL_CERT_FILE',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
];

/** The variables a service's configuration knows, and OpenTelemetry's own; nothing else reaches it. */
export function serviceEnv(
  name: ServiceName,
  { ports, settings, env }: Pick<Options, 'ports' | 'settings' | 'env'>,
): NodeJS.ProcessEnv {
  const databaseUrl = name === 'worker' ? settings.WORKER_DATABASE_URL : settings.APP_DATABASE_URL;
  const own = { DATABASE_URL: databaseUrl, PORT: String(ports[name]), SCALER_PORT: String(ports.scaler) };
  const all: NodeJS.ProcessEnv = { ...env, ...settings, ...own };
  const known = Object.keys(services[name].config.properties).flatMap((key) => [key, `${key}_FILE`]);
  const otel = Object.keys(env).filter((key) => key.startsWith('OTEL_'));
  const lower = everywhere.map((key) => key.toLowerCase());
  const names = [...known, ...otel, ...everywhere, ...lower].filter((key) => all[key] !== undefined);
  return Object.fromEntries(names.map((key) => [key, all[key]]));
}

async function answersOk(url: URL, signal: AbortSignal): Promise<void> {
  const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(5000)]) });
  const body = await response.text();
  if (!response.ok) throw new Error(`${url.pathname} answers ${response.status} ${body.slice(0, 200)}`);
}
