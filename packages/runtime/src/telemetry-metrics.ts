import { Counter, Gauge, type Registry } from '@prometheus-io/client';
import { exportTally } from './export-tally.ts';

/** Says how the export of traces goes: nothing else shows that a collector takes none. */
export function measureTelemetry(registry: Registry): void {
  const registers = [registry];
  new Gauge({
    name: 'otel_traces_enabled',
    help: '1 when this process sends traces (OTEL_ENABLED); where to, or why it does not although it should',
    labelNames: ['endpoint', 'fault'],
    registers,
    collect() {
      const { enabled, endpoint, fault } = exportTally;
      this.set({ endpoint, fault }, enabled ? 1 : 0);
    },
  });
  new Gauge({
    name: 'otel_export_failing',
    help: '1 while the collector does not take what it is sent',
    registers,
    collect() {
      this.set(exportTally.trouble === null ? 0 : 1);
    },
  });
  new Counter({
    name: 'otel_spans_sent_total',
    help: 'Spans that the collector took',
    registers,
    collect() {
      this.reset();
      this.inc(exportTally.sent);
    },
  });
  new Counter({
    name: 'otel_spans_dropped_total',
    help: 'Spans that were given up, because the queue was full or the collector did not take them in time',
    labelNames: ['reason'],
    registers,
    collect() {
      this.reset();
      for (const [reason, spans] of Object.entries(exportTally.dropped)) this.inc({ reason }, spans);
    },
  });
  new Gauge({
    name: 'otel_spans_waiting',
    help: 'Spans that wait for the collector, or are on their way to it',
    registers,
    collect() {
      this.set(exportTally.waiting);
    },
  });
  new Gauge({
    name: 'otel_spans_waiting_limit',
    help: 'Spans that wait at most (OTEL_BSP_MAX_QUEUE_SIZE); those beyond are dropped',
    registers,
    collect() {
      this.set(exportTally.capacity);
    },
  });
}
