import { setting, type ConnectionOptions } from '../connection.ts';
import { metricsUrls, readMetrics } from '../metrics/endpoints.ts';
import { sumBy } from '../metrics/samples.ts';
import { formatTable } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import type { Verdict } from './verdict.ts';

/** Does every process write to a sink besides stdout, and has none lost a line? Their own metrics say so. */
export async function checkSinks(options: ConnectionOptions, terminal: Terminal): Promise<Verdict> {
  const urls = await metricsUrls(options, terminal);
  const { signal } = terminal;
  const { readings, unread } = await readMetrics(urls, { token: await setting(terminal, 'METRICS_TOKEN'), signal });
  let bad = unread.length;
  const rows = readings.map(({ service, url, samples }) => {
    const lost = sumBy(samples, 'log_sink_lost_total', 'sink');
    const lostLines = [...lost.values()].reduce((sum, n) => sum + n, 0);
    if (lost.size === 0 || lostLines > 0) bad += 1;
    return [service, url, [...lost.keys()].join(', ') || 'NONE BUT STDOUT', String(lostLines)];
  });
  return {
    ok: bad === 0,
    summary:
      bad === 0
        ? `${readings.length} processes write to sinks, and none lost a line`
        : `${bad} of ${urls.length} processes have no sink (LOG_SINK_FILE, LOG_SINK_SYSLOG, LOG_SINK_HTTP), lost lines or do not answer`,
    evidence: formatTable(
      ['SERVICE', 'METRICS', 'SINKS', 'LOST LINES'],
      [...rows, ...unread.map(({ url, why }) => ['?', url, why, ''])],
    ),
  };
}
