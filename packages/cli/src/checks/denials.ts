import { setTimeout as wait } from 'node:timers/promises';
import { setting, type ConnectionOptions } from '../connection.ts';
import { metricsUrls, readMetrics, type Reading } from '../metrics/endpoints.ts';
import { createPrometheus } from '../metrics/prometheus.ts';
import { growth, sumBy } from '../metrics/samples.ts';
import { formatTable } from '../table.ts';
import { CommandError, type Terminal } from '../terminal.ts';
import type { Verdict } from './verdict.ts';

const metric = 'http_requests_errors_total';
const denied = { restricted: 'true', status_code: '403' };

type Limits = { duringSeconds: number | undefined; atMost: number };

/** 403s on role-restricted routes: how many a minute, by route; from Prometheus where there is one, else by looking twice. */
export async function checkDenials(options: ConnectionOptions, limits: Limits, terminal: Terminal): Promise<Verdict> {
  const prometheus = terminal.env.PROMETHEUS_URL;
  const seconds = limits.duringSeconds ?? (prometheus ? 900 : 5);
  const byRoute = prometheus
    ? await askPrometheus(prometheus, seconds, terminal)
    : await lookTwice(await metricsUrls(options, terminal), seconds, terminal);
  const total = [...byRoute.values()].reduce((sum, n) => sum + n, 0);
  const perMinute = (total * 60) / seconds;
  return {
    ok: perMinute <= limits.atMost,
    summary:
      `${Math.round(total)} answers 403 on restricted routes within ${seconds} s (${metric}), ` +
      `${perMinute.toFixed(1)} a minute; more than ${limits.atMost} are a spike`,
    evidence:
      byRoute.size === 0
        ? ''
        : formatTable(
            ['ROUTE', '403'],
            [...byRoute].toSorted(([, a], [, b]) => b - a).map(([route, n]) => [route, String(Math.round(n))]),
          ),
  };
}

async function askPrometheus(base: string, seconds: number, { signal }: Terminal): Promise<Map<string, number>> {
  const query = `sum by (route) (increase(${metric}{restricted="true",status_code="403"}[${seconds}s])) > 0`;
  const series = await createPrometheus(base, { signal }).query(query);
  return new Map(series.map(({ label, points }) => [label, points.at(-1)?.[1] ?? 0]));
}

async function lookTwice(urls: string[], seconds: number, terminal: Terminal): Promise<Map<string, number>> {
  const token = await setting(terminal, 'METRICS_TOKEN');
  const { signal } = terminal;
  const first = await gateways(urls, token, signal);
  await wait(seconds * 1_000, undefined, { signal });
  const second = await gateways(urls, token, signal);
  const total = new Map<string, number>();
  for (const { url, samples } of second) {
    const before = first.find((reading) => reading.url === url)?.samples ?? samples;
    const grown = growth(sumBy(before, metric, 'route', denied), sumBy(samples, metric, 'route', denied));
    for (const [route, n] of grown) total.set(route, (total.get(route) ?? 0) + n);
  }
  return total;
}

async function gateways(urls: string[], token: string | undefined, signal: AbortSignal): Promise<Reading[]> {
  const { readings, unread } = await readMetrics(urls, { token, signal });
  const found = readings.filter(({ service }) => service === 'gateway');
  if (found.length > 0) return found;
  const why = unread.map(({ url, why }) => `${url}: ${why}`).join('; ');
  throw new CommandError(`No gateway's metrics can be read (METRICS_URLS): ${why || 'none is named'}`);
}
