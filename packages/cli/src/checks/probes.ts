import { setting, type ConnectionOptions } from '../connection.ts';
import { metricsUrls } from '../metrics/endpoints.ts';
import { formatTable } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import type { Verdict } from './verdict.ts';

type Probe = { url: string; ok: boolean; saw: string; ms: number };

/**
 * The synthetic checks, as a blackbox exporter makes them (`deploy/prometheus/blackbox.yml`): health and readiness of
 * every process whose metrics are named, and the metrics themselves.
 */
export async function checkProbes(options: ConnectionOptions, terminal: Terminal): Promise<Verdict> {
  const token = await setting(terminal, 'METRICS_TOKEN');
  const urls = (await metricsUrls(options, terminal)).flatMap(beside);
  const probes = await Promise.all(urls.map((url) => probe(url, token, terminal.signal)));
  const failed = probes.filter(({ ok }) => !ok);
  return {
    ok: failed.length === 0,
    summary:
      failed.length === 0
        ? `all ${probes.length} addresses answer as they should`
        : `${failed.length} of ${probes.length} addresses do not answer as they should`,
    evidence: formatTable(
      ['ADDRESS', 'STATE', 'SAW', 'TOOK'],
      probes.map(({ url, ok, saw, ms }) => [url, ok ? 'ok' : 'FAILED', saw, `${ms} ms`]),
    ),
  };
}

/** What is to be asked of a process besides its metrics. */
function beside(metrics: string): string[] {
  const at = (path: string) => new URL(path, metrics).href;
  const own = new URL(metrics).pathname === '/api/metrics' ? ['/api/health', '/api/ready'] : ['/health'];
  return [...own.map(at), metrics];
}

async function probe(url: string, token: string | undefined, signal: AbortSignal): Promise<Probe> {
  const begun = performance.now();
  const seen = (ok: boolean, saw: string): Probe => ({ url, ok, saw, ms: Math.round(performance.now() - begun) });
  const isMetrics = url.endsWith('/metrics');
  try {
    const response = await fetch(url, {
      headers: isMetrics && token !== undefined ? { authorization: `Bearer ${token}` } : {},
      signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]),
    });
    const text = await response.text();
    if (isMetrics) return seen(response.ok && text.includes('flowstate_build_info{'), `${response.status}`);
    const status = /"status" *: *"(\w+)"/.exec(text)?.[1] ?? 'no status';
    return seen(response.ok && ['ok', 'ready'].includes(status), `${response.status} ${status}`);
  } catch (error) {
    if (signal.aborted) throw error;
    const { message, cause } = error as Error & { cause?: Error };
    return seen(false, `no answer (${cause?.message || message})`);
  }
}
