import type { ConnectionOptions } from '../connection.ts';
import { sumBy } from '../metrics/samples.ts';
import { quantile, readTwice, totalOf } from '../metrics/two-readings.ts';
import type { Terminal } from '../terminal.ts';
import { verdictOf, type Finding } from './decision-tree.ts';
import type { Verdict } from './verdict.ts';

/** More than this share of failed requests, runs or calls is a spike. */
const mostFailing = 0.05;

/** Do requests and runs flow: rates, latency, errors and saturation of all services while it looks. */
export async function checkTraffic(
  options: ConnectionOptions,
  { seconds }: { seconds: number },
  terminal: Terminal,
): Promise<Verdict> {
  const { readings, unread, grown } = await readTwice(options, seconds, terminal);
  const rate = (n: number) => `${(n / seconds).toFixed(1)}/s`;
  const requests = totalOf(grown('http_request_duration_seconds_count', 'route'));
  const statuses = grown('http_requests_errors_total', 'status_code');
  const failed = [...statuses].reduce((sum, [status, n]) => sum + (status.startsWith('5') ? n : 0), 0);
  const p95 = quantile(grown('http_request_duration_seconds_bucket', 'le'), 0.95);
  const active = readings.reduce(
    (sum, { samples }) => sum + (sumBy(samples, 'http_requests_active', '').get('') ?? 0),
    0,
  );
  const runs = grown('worker_agent_workflows_total', 'status');
  const calls = grown('worker_backend_requests_total', 'status');
  const badCalls = [...calls].reduce((sum, [status, n]) => sum + (/^(5|unreachable)/.test(status) ? n : 0), 0);
  const callsP95 = quantile(grown('worker_backend_request_duration_seconds_bucket', 'le'), 0.95);
  const share = (part: number, of: number) => (of === 0 ? 0 : part / of);
  const list = (counts: Map<string, number>) =>
    [...counts].map(([name, n]) => `${name} ${rate(n)}`).join(', ') || 'none';
  const findings: Finding[] = [
    ...unread.map(({ url, why }) => ({ step: `metrics of ${url}`, ok: false, seen: why })),
    {
      step: 'requests (http_request_duration_seconds)',
      ok: true,
      seen: `${rate(requests)}, p95 ${p95 === null ? 'none' : `${Math.round(p95 * 1000)} ms`}, ${active} active (http_requests_active)`,
    },
    {
      step: 'errors (http_requests_errors_total)',
      ok: share(failed, requests) <= mostFailing,
      seen: list(statuses),
      knob: 'flowstate check ready; the request ids of the answers find the cause in the log',
    },
    { step: 'runs (worker_agent_workflows_total)', ok: true, seen: list(runs) },
    {
      step: 'backend (worker_backend_requests_total)',
      ok: share(badCalls, totalOf(calls)) <= mostFailing,
      seen: `${list(calls)}, p95 ${callsP95 === null ? 'none' : `${Math.round(callsP95 * 1000)} ms`} (worker_backend_request_duration_seconds)`,
      knob: 'flowstate check ready: workers do not get through to the gateway',
    },
  ];
  return verdictOf(`${rate(requests)} requests, ${rate(totalOf(runs))} run events within ${seconds} s`, findings);
}
