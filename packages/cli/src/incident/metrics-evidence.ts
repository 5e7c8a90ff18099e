import { setTimeout as wait } from 'node:timers/promises';
import { barChart } from '../charts/bar-chart.ts';
import { lineChart } from '../charts/line-chart.ts';
import { setting } from '../connection.ts';
import { metricsUrls, readMetrics, type Reading } from '../metrics/endpoints.ts';
import { createPrometheus, type Series } from '../metrics/prometheus.ts';
import { growth, sumBy } from '../metrics/samples.ts';
import type { Capture } from './evidence.ts';

type Chart = { file: string; title: string; metric: string; by: string; where?: Record<string, string>; gauge?: true };

const charts: Chart[] = [
  { file: 'auth-failures', title: 'Failed authentications by reason', metric: 'auth_failures_total', by: 'reason' },
  {
    file: 'denials',
    title: '403 on restricted routes',
    metric: 'http_requests_errors_total',
    by: 'route',
    where: { restricted: 'true', status_code: '403' },
  },
  { file: 'http-errors', title: 'HTTP errors by status', metric: 'http_requests_errors_total', by: 'status_code' },
  { file: 'signing-keys', title: 'Accepted tokens by key', metric: 'auth_tokens_verified_total', by: 'kid' },
  { file: 'agents', title: 'Agent workflows by state', metric: 'worker_agent_workflows_total', by: 'status' },
  { file: 'queues', title: 'Jobs by queue', metric: 'flowstate_queue_jobs', by: 'queue', gauge: true },
  { file: 'lost-log-lines', title: 'Log lines lost by sink', metric: 'log_sink_lost_total', by: 'sink' },
];

/** `metrics/`: every process' metrics, read several times, and charts of what an incident shows in. */
export async function captureMetrics(capture: Capture): Promise<void> {
  const { terminal, options, folder, samples, miss } = capture;
  const urls = await metricsUrls(options, terminal);
  const token = await setting(terminal, 'METRICS_TOKEN');
  const { signal } = terminal;
  const rounds: Reading[][] = [];
  for (let n = 0; n < samples.count; n += 1) {
    if (n > 0) await wait(samples.everySeconds * 1_000, undefined, { signal });
    const { readings, unread } = await readMetrics(urls, { token, signal });
    rounds.push(readings);
    if (n === 0) for (const { url, why } of unread) miss(`metrics of ${url}`, why);
    for (const { url, service, text, at } of readings) {
      const name = `${service}-${new URL(url).host.replaceAll(/[^\w.-]/g, '-')}-${n + 1}`;
      await folder.write(`metrics/${name}.prom`, `# ${url} at ${at}\n${text}`);
    }
  }
  for (const chart of charts) await folder.write(`metrics/${chart.file}.svg`, chartOfRounds(chart, rounds));
  if (terminal.env.PROMETHEUS_URL) await captureHistory(capture, terminal.env.PROMETHEUS_URL);
  else
    miss(
      'metrics over the whole time',
      'no PROMETHEUS_URL: the charts show values now and their growth between readings',
    );
}

function chartOfRounds({ title, metric, by, where, gauge }: Chart, rounds: Reading[][]): string {
  const sums = rounds.map((readings) => total(readings.map(({ samples }) => sumBy(samples, metric, by, where))));
  const first = sums[0] ?? new Map<string, number>();
  const last = sums.at(-1) ?? first;
  const grown = growth(first, last);
  const seconds = secondsBetween(rounds);
  const bars = [...last].map(([label, value]) => ({
    label,
    value,
    ...(gauge === undefined && { note: ` (+${grown.get(label) ?? 0})` }),
  }));
  return barChart(`${title}: ${metric}${gauge ? '' : `, growth within ${seconds} s`}`, bars);
}

function total(all: Map<string, number>[]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const map of all) for (const [group, n] of map) sums.set(group, (sums.get(group) ?? 0) + n);
  return sums;
}

function secondsBetween(rounds: Reading[][]): number {
  const [first, last] = [rounds[0]?.[0]?.at, rounds.at(-1)?.[0]?.at];
  return first === undefined || last === undefined ? 0 : Math.round((Date.parse(last) - Date.parse(first)) / 1_000);
}

/** The same charts over the whole time, from a Prometheus. */
async function captureHistory({ terminal, folder, from, to, miss }: Capture, base: string): Promise<void> {
  const prometheus = createPrometheus(base, { signal: terminal.signal });
  const stepSeconds = Math.max(15, Math.ceil((to.getTime() - from.getTime()) / 1_000 / 240));
  for (const { file, title, metric, by, where = {}, gauge } of charts) {
    const matchers = Object.entries(where).map(([name, value]) => `${name}="${value}"`);
    const selector = `${metric}{${matchers.join(',')}}`;
    const query = `sum by (${by}) (${gauge ? selector : `rate(${selector}[${stepSeconds * 4}s])`})`;
    try {
      const series: Series[] = await prometheus.range(query, { from, to, stepSeconds });
      await folder.write(`metrics/${file}-history.json`, `${JSON.stringify({ query, series }, null, 2)}\n`);
      await folder.write(`metrics/${file}-history.svg`, lineChart(`${title}${gauge ? '' : ' a second'}`, series));
    } catch (error) {
      if (terminal.signal.aborted) throw error;
      miss(`history of ${metric}`, (error as Error).message);
    }
  }
}
