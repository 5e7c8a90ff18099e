import type { LiveGateway, LiveWorker } from '@flowstate/contracts';
import { setTimeout as wait } from 'node:timers/promises';
import { connect, setting, type ConnectionOptions } from '../connection.ts';
import type { GatewayClient } from '../gateway-client.ts';
import { metricsUrls, readMetrics } from '../metrics/endpoints.ts';
import { createPrometheus } from '../metrics/prometheus.ts';
import { sumBy } from '../metrics/samples.ts';
import type { Terminal } from '../terminal.ts';
import { verdictOf, type Finding } from './decision-tree.ts';
import type { Verdict } from './verdict.ts';

type Options = ConnectionOptions & {
  /** So long is waited for a replica that has just come to be ready and scraped. */
  withinSeconds: number;
  /** At least so many must run. */
  least: { gateway: number; worker: number };
};

/** Numbers of the processes whose metrics were read, by service, and where each gateway's were. */
type Scraped = { by: string; ids: Map<string, Set<number>>; gateways: string[] };

const lookEveryMs = 500;

/**
 * Every replica that runs is ready and scraped. The ledger knows who runs, each process tells its number with its
 * metrics; with PROMETHEUS_URL it is asked what it scraped, else the addresses of METRICS_URLS are read.
 */
export async function checkReplicas(options: Options, terminal: Terminal): Promise<Verdict> {
  const client = await connect(options, terminal);
  const until = performance.now() + options.withinSeconds * 1_000;
  try {
    for (;;) {
      const verdict = await look(client, options, terminal);
      if (verdict.ok || performance.now() >= until) return verdict;
      await wait(lookEveryMs, undefined, { signal: terminal.signal });
    }
  } finally {
    await client.close();
  }
}

async function look(client: GatewayClient, options: Options, terminal: Terminal): Promise<Verdict> {
  const list = async <T>(path: string) => (await client.request<{ items: T[] }>('GET', path)).items;
  const [gateways, workers] = await Promise.all([
    list<LiveGateway>('/api/admin/gateways'),
    list<LiveWorker>('/api/admin/workers'),
  ]);
  const scraped = terminal.env.PROMETHEUS_URL
    ? await scrapedBy(terminal.env.PROMETHEUS_URL, terminal)
    : await readHere(options, terminal);
  const ready = await Promise.all(scraped.gateways.map((url) => readinessOf(url, terminal)));
  return verdictOf(
    `${gateways.length} gateways and ${workers.length} workers run; each is ready and scraped (${scraped.by})`,
    [
      ...ready,
      runningFinding('gateway', gateways.length, options.least.gateway),
      runningFinding('worker', workers.length, options.least.worker),
      scrapedFinding('gateway', gateways, scraped),
      scrapedFinding('worker', workers, scraped),
    ],
  );
}

function runningFinding(service: 'gateway' | 'worker', running: number, least: number): Finding {
  return {
    step: `${service}s running`,
    ok: running >= least,
    seen: `${running}, at least ${least} wanted`,
    knob: 'the platform has not started them: its events say why (no room, image, quota); flowstate scale status',
  };
}

function scrapedFinding(
  service: 'gateway' | 'worker',
  running: readonly { id: number; host: string; pid: number }[],
  { by, ids }: Scraped,
): Finding {
  const seen = ids.get(service) ?? new Set<number>();
  const missing = running.filter(({ id }) => !seen.has(id));
  const named = missing.map(({ id, host, pid }) => `${service} ${id} (${host}:${pid})`).join(', ');
  return {
    step: `${service}s scraped`,
    ok: missing.length === 0,
    seen: `${running.length - missing.length} of ${running.length} running${missing.length === 0 ? '' : `, not ${named}`}`,
    knob:
      by === 'Prometheus'
        ? 'name it in deploy/prometheus/targets, or let PodMonitors find it (podMonitor.enabled)'
        : 'name its metrics in METRICS_URLS, or give PROMETHEUS_URL',
  };
}

/** Ready as a load balancer sees it, and with Postgres and both Redis at hand. */
async function readinessOf(metricsUrl: string, { signal }: Terminal): Promise<Finding> {
  const url = new URL('/api/ready?strict=1', metricsUrl);
  const step = `gateway ${url.host}`;
  const knob =
    'flowstate check ready --url of it: each replica needs the same DATABASE_URL, REDIS_URL, REDIS_CACHE_URL';
  try {
    const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]) });
    const { status = 'no status', checks = [] } = (await response.json()) as {
      status?: string;
      checks?: { name: string; ok: boolean }[];
    };
    const states = checks.map(({ name, ok }) => `${name} ${ok ? 'ok' : 'FAILED'}`).join(', ');
    return { step, ok: response.ok, seen: `${response.status} ${status}: ${states}`, knob };
  } catch (error) {
    if (signal.aborted) throw error;
    const { message, cause } = error as Error & { cause?: Error };
    return { step, ok: false, seen: `no answer (${cause?.message || message})`, knob };
  }
}

async function scrapedBy(base: string, { signal }: Terminal): Promise<Scraped> {
  const prometheus = createPrometheus(base, { signal });
  const ids = new Map<string, Set<number>>();
  for (const service of ['gateway', 'worker']) {
    const series = await prometheus.query(`flowstate_instance_id{service="${service}"}`);
    ids.set(service, new Set(series.flatMap(({ points }) => points.map(([, id]) => id))));
  }
  const targets = await prometheus.targets();
  const gateways = targets.map(({ scrapeUrl }) => scrapeUrl).filter(isGateway);
  return { by: 'Prometheus', ids, gateways };
}

async function readHere(options: ConnectionOptions, terminal: Terminal): Promise<Scraped> {
  const urls = await metricsUrls(options, terminal);
  const { readings } = await readMetrics(urls, {
    token: await setting(terminal, 'METRICS_TOKEN'),
    signal: terminal.signal,
  });
  const ids = new Map<string, Set<number>>();
  for (const { samples } of readings) {
    for (const [service, id] of sumBy(samples, 'flowstate_instance_id', 'service')) {
      ids.set(service, (ids.get(service) ?? new Set()).add(id));
    }
  }
  return { by: 'read from here', ids, gateways: urls.filter(isGateway) };
}

const isGateway = (url: string) => new URL(url).pathname === '/api/metrics';
