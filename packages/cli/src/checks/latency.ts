import { readFile } from 'node:fs/promises';
import { setting, type ConnectionOptions } from '../connection.ts';
import { sumBy } from '../metrics/samples.ts';
import { quantile, readTwice, totalOf, type Grown } from '../metrics/two-readings.ts';
import type { Terminal } from '../terminal.ts';
import { verdictOf, type Finding } from './decision-tree.ts';
import type { Verdict } from './verdict.ts';

type Limits = { seconds: number; atMostMs: number };

/** Fewer answers of searches from the cache than this is little. */
const leastHitRate = 0.3;
/** Searches within the time looked at, below which their hit rate says nothing. */
const leastSearches = 10;

/** Why answers take long: which routes, the cache of searches, `match_documents` and its plans, saturation. */
export async function checkLatency(options: ConnectionOptions, limits: Limits, terminal: Terminal): Promise<Verdict> {
  const { seconds, atMostMs } = limits;
  const { readings, unread, grown } = await readTwice(options, seconds, terminal);
  const findings: Finding[] = unread.map(({ url, why }) => ({ step: `metrics of ${url}`, ok: false, seen: why }));
  const slowRoutes = routesAbove(grown, atMostMs);
  findings.push({
    step: 'latency',
    ok: slowRoutes.length === 0,
    seen:
      slowRoutes.length === 0
        ? `no route above ${atMostMs} ms (p95 within ${seconds} s)`
        : slowRoutes.map(({ route, p95Ms }) => `${route} p95 ${Math.round(p95Ms)} ms`).join(', '),
  });
  findings.push(cacheOf(grown), await matchOf(grown, atMostMs, terminal));
  const lag = Math.max(
    ...readings.map(({ samples }) => sumBy(samples, 'nodejs_eventloop_lag_p99_seconds', '').get('') ?? 0),
  );
  const active = readings.reduce(
    (sum, { samples }) => sum + (sumBy(samples, 'http_requests_active', '').get('') ?? 0),
    0,
  );
  findings.push({
    step: 'saturation',
    ok: lag * 1000 <= atMostMs,
    seen: `${active} requests active (http_requests_active), event loop lag p99 ${Math.round(lag * 1000)} ms`,
    knob: 'add gateways; until then `flowstate flags set rate.principal 6000 --reason "…"` (requests of one principal a minute)',
  });
  return verdictOf(`p95 of every route within ${atMostMs} ms`, findings);
}

function routesAbove(grown: Grown, atMostMs: number): { route: string; p95Ms: number }[] {
  const routes = [...grown('http_request_duration_seconds_count', 'route').keys()];
  return routes
    .map((route) => {
      const p95 = quantile(grown('http_request_duration_seconds_bucket', 'le', { route }), 0.95);
      return { route, p95Ms: (p95 ?? 0) * 1000 };
    })
    .filter(({ p95Ms }) => p95Ms > atMostMs)
    .toSorted((a, b) => b.p95Ms - a.p95Ms);
}

function cacheOf(grown: Grown): Finding {
  const results = grown('vector_cache_requests_total', 'result');
  const asked = totalOf(results);
  const hits = ['hit', 'stale', 'waited'].reduce((sum, result) => sum + (results.get(result) ?? 0), 0);
  const away = (results.get('unavailable') ?? 0) > asked / 2;
  const rate = asked === 0 ? null : hits / asked;
  return {
    step: 'cache hit rate (vector-search:*)',
    ok: !away && (rate === null || asked < leastSearches || rate >= leastHitRate),
    seen:
      rate === null
        ? 'no searches'
        : `${Math.round(rate * 100)} % of ${asked} searches (${[...results].map(([result, n]) => `${result} ${n}`).join(', ')})`,
    knob: away
      ? 'the cache does not answer: `flowstate check ready`, then REDIS_CACHE_URL'
      : 'SEARCH_CACHE_TTL_SECONDS=3600 and SEARCH_CACHE_LOCAL_BYTES=67108864, restart the gateways; `flowstate cache stats` shows evictions: then a larger maxmemory of REDIS_CACHE_URL',
  };
}

async function matchOf(grown: Grown, atMostMs: number, terminal: Terminal): Promise<Finding> {
  const p95 = quantile(grown('match_documents_duration_seconds_bucket', 'le'), 0.95);
  const ok = p95 === null || p95 * 1000 <= atMostMs;
  const calls = Math.round(totalOf(grown('match_documents_duration_seconds_count', '')));
  const seen = p95 === null ? 'not called' : `p95 ${Math.round(p95 * 1000)} ms of ${calls} calls`;
  if (ok) return { step: 'match_documents', ok, seen };
  const logged = await slowCalls(terminal);
  // Here and not above: it takes the store along, which is not needed while all is well.
  const { searchPlans } = await import('./search-plans.ts');
  return {
    step: 'match_documents',
    ok,
    seen: [seen, ...logged, await searchPlans(terminal)].join('; '),
    knob: '`flowstate limits set default maxSearchLimit=5 minSearchThreshold=0.4` until it is better, then `flowstate limits reset default`; a plan without the index: REINDEX it, and ANALYZE',
  };
}

/** The last of the gateway's `slow search` lines, where a log file is at hand (`LOG_SINK_FILE`). */
async function slowCalls(terminal: Terminal): Promise<string[]> {
  const file = await setting(terminal, 'LOG_SINK_FILE');
  if (file === undefined) return [];
  const text = await readFile(file, 'utf8').catch(() => '');
  const last = text.split('\n').findLast((line) => line.includes('"msg":"slow search"'));
  if (last === undefined) return [];
  const { ms, kind, limit, threshold, planHash } = JSON.parse(last) as Record<string, unknown>;
  return [`last slow call: ${JSON.stringify({ kind, ms, limit, threshold, planHash })}`];
}
