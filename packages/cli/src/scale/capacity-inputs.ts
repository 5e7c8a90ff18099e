import type { LiveGateway, ScalingStatus } from '@flowstate/contracts';
import type { ConnectionOptions } from '../connection.ts';
import type { GatewayClient } from '../gateway-client.ts';
import { processUses, type ProcessUse } from '../metrics/process-use.ts';
import { createPrometheus } from '../metrics/prometheus.ts';
import { sumBy, type Sample } from '../metrics/samples.ts';
import type { Unread } from '../metrics/endpoints.ts';
import { quantile, readTwice, totalOf, type Grown } from '../metrics/two-readings.ts';
import type { Terminal } from '../terminal.ts';

/** The runbook's capacity planning inputs, over some seconds of now. */
export type CapacityInputs = {
  seconds: number;
  unread: Unread[];
  api: { requestsPerSecond: number; p95Seconds: number | null; p95From: 'Prometheus' | 'now' };
  /** Share of what was looked up that was there; null: nothing was. */
  searchCacheHits: number | null;
  redis: { instance: string; usedBytes: number; maxBytes: number; evicted: number; hits: number | null }[];
  processes: ProcessUse[];
  /** Places of all workers that were read, and how many of them are taken. */
  places: { taken: number; all: number };
  runs: { startedPerSecond: number; endedPerSecond: number };
  gatewaysLive: number;
  queues: ScalingStatus[];
};

type Options = { client: GatewayClient; connection: ConnectionOptions; seconds: number; terminal: Terminal };

/** Reads every process twice, and asks the gateway what is in the queues and who runs. */
export async function gatherInputs({ client, connection, seconds, terminal }: Options): Promise<CapacityInputs> {
  const watched = await readTwice(connection, seconds, terminal);
  const { readings, unread, grown } = watched;
  const [queues, gateways, slow] = await Promise.all([
    client.request<{ items: ScalingStatus[] }>('GET', '/api/admin/scaling'),
    client.request<{ items: LiveGateway[] }>('GET', '/api/admin/gateways'),
    p95OfPrometheus(terminal),
  ]);
  const sum = (name: string) =>
    readings.reduce((total, { samples }) => total + (sumBy(samples, name, '').get('') ?? 0), 0);
  const runs = grown('worker_agent_workflows_total', 'status');
  const started = runs.get('started') ?? 0;
  return {
    seconds,
    unread,
    api: {
      requestsPerSecond: totalOf(grown('http_request_duration_seconds_count', 'route')) / seconds,
      p95Seconds: slow ?? quantile(grown('http_request_duration_seconds_bucket', 'le'), 0.95),
      p95From: slow === null ? 'now' : 'Prometheus',
    },
    searchCacheHits: searchHits(grown),
    redis: redisOf(readings.map(({ samples }) => samples)),
    processes: processUses(watched, seconds),
    places: { taken: sum('worker_active_runs'), all: sum('worker_concurrency') },
    runs: { startedPerSecond: started / seconds, endedPerSecond: (totalOf(runs) - started) / seconds },
    gatewaysLive: gateways.items.length,
    queues: queues.items,
  };
}

/** The recording rule of the runbook's own name, over the last five minutes. */
async function p95OfPrometheus({ env, signal }: Terminal): Promise<number | null> {
  if (!env.PROMETHEUS_URL) return null;
  const series = await createPrometheus(env.PROMETHEUS_URL, { signal }).query(
    'http_request_duration_seconds{quantile="0.95"}',
  );
  const value = series[0]?.points.at(-1)?.[1];
  return value === undefined || Number.isNaN(value) ? null : value;
}

function searchHits(grown: Grown): number | null {
  const results = grown('vector_cache_requests_total', 'result');
  const asked = totalOf(results);
  const hits = ['hit', 'stale', 'waited'].reduce((sum, result) => sum + (results.get(result) ?? 0), 0);
  return asked === 0 ? null : hits / asked;
}

/** Every gateway tells the same of each Redis. */
function redisOf(readings: Sample[][]): CapacityInputs['redis'] {
  const samples = readings.find((each) => each.some(({ name }) => name === 'redis_memory_used_bytes')) ?? [];
  return [...sumBy(samples, 'redis_memory_used_bytes', 'instance')].map(([instance, usedBytes]) => {
    const own = (name: string) => sumBy(samples, name, 'instance', { instance }).get(instance) ?? 0;
    const looked = sumBy(samples, 'redis_keyspace_lookups_total', 'result', { instance });
    const all = totalOf(looked);
    return {
      instance,
      usedBytes,
      maxBytes: own('redis_memory_max_bytes'),
      evicted: own('redis_evicted_keys_total'),
      hits: all === 0 ? null : (looked.get('hit') ?? 0) / all,
    };
  });
}
