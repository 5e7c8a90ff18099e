import { setTimeout as wait } from 'node:timers/promises';
import { setting, type ConnectionOptions } from '../connection.ts';
import type { Terminal } from '../terminal.ts';
import { metricsUrls, readMetrics, type Reading, type Unread } from './endpoints.ts';
import { growth, sumBy, type Sample } from './samples.ts';

/** What each process' counters did while somebody looked. */
export type Watched = { readings: Reading[]; unread: Unread[]; earlier: ReadonlyMap<string, Sample[]>; grown: Grown };
/** How much a counter grew over all processes, by the value of a label. */
export type Grown = (metric: string, by: string, where?: Record<string, string>) => Map<string, number>;

/** Reads every process' metrics, waits, and reads them again. */
export async function readTwice(
  options: ConnectionOptions,
  between: number | ((before: Reading[]) => Promise<void>),
  terminal: Terminal,
): Promise<Watched> {
  const urls = await metricsUrls(options, terminal);
  const { signal } = terminal;
  const read = async () => readMetrics(urls, { token: await setting(terminal, 'METRICS_TOKEN'), signal });
  const { readings: before } = await read();
  if (typeof between === 'number') await wait(between * 1_000, undefined, { signal });
  else await between(before);
  const { readings, unread } = await read();
  const earlier = new Map<string, Sample[]>(before.map(({ url, samples }) => [url, samples]));
  return {
    readings,
    unread,
    earlier,
    grown(metric, by, where = {}) {
      const total = new Map<string, number>();
      for (const { url, samples } of readings) {
        const from = sumBy(earlier.get(url) ?? samples, metric, by, where);
        for (const [group, n] of growth(from, sumBy(samples, metric, by, where))) {
          total.set(group, (total.get(group) ?? 0) + n);
        }
      }
      return total;
    },
  };
}

export const totalOf = (counts: Map<string, number>) => [...counts.values()].reduce((sum, n) => sum + n, 0);

/**
 * A quantile from a histogram's buckets, as Prometheus' `histogram_quantile` computes it: linear within its bucket, the
 * highest bound for what is beyond all. Null where nothing was counted.
 */
export function quantile(buckets: Map<string, number>, q: number): number | null {
  const bounds = [...buckets].map(([le, count]) => [Number(le === '+Inf' ? 'Infinity' : le), count] as const);
  const sorted = bounds.toSorted(([a], [b]) => a - b);
  const total = sorted.at(-1)?.[1] ?? 0;
  if (total === 0) return null;
  const rank = q * total;
  let below: readonly [number, number] = [0, 0];
  for (const bucket of sorted) {
    if (bucket[1] >= rank) {
      if (bucket[0] === Number.POSITIVE_INFINITY) return below[0];
      return below[0] + ((bucket[0] - below[0]) * (rank - below[1])) / (bucket[1] - below[1]);
    }
    below = bucket;
  }
  return below[0];
}
