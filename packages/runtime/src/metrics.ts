import { getHeapStatistics } from 'node:v8';
import { collectDefaultMetrics, Gauge, Registry, type Counter, type LabelValues } from '@prometheus-io/client';
import { measureTelemetry } from './telemetry-metrics.ts';

/** Names that promtool rejects, for a `_total` that counts nothing or a type in them; what they say is said by others. */
const misnamed = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
  'nodejs_eventloop_utilization_histogram',
  'nodejs_eventloop_utilization_summary',
];

/** What runs here: set by the image build or the starter; a bare checkout says `dev`. */
export type Build = { FLOWSTATE_VERSION: string; FLOWSTATE_COMMIT: string };

/** A registry with the default process metrics and `flowstate_build_info`. */
export function createRegistry(service: string, build: Build): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const name of misnamed) registry.removeSingleMetric(name);
  new Gauge({
    name: 'flowstate_build_info',
    help: 'Always 1; the labels say what runs here',
    labelNames: ['service', 'version', 'commit'],
    registers: [registry],
  }).set({ service, version: build.FLOWSTATE_VERSION, commit: build.FLOWSTATE_COMMIT }, 1);
  new Gauge({
    name: 'nodejs_heap_size_limit_bytes',
    help: 'Heap at which Node.js gives up: --max-old-space-size and what is young',
    registers: [registry],
  }).set(getHeapStatistics().heap_size_limit);
  measureTelemetry(registry);
  return registry;
}

/**
 * Has a counter show these series before anything is counted. To Prometheus' `rate()` the first of something is no
 * increase when its series appears with it.
 */
export function startAtZero<Label extends string>(
  counter: Counter<Label>,
  series: readonly LabelValues<Label>[],
): void {
  for (const labels of series) counter.inc(labels, 0);
}
