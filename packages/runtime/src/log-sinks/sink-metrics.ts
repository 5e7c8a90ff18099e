import { Counter, type Registry } from '@prometheus-io/client';
import type { LogSinks } from './log-sinks.ts';

/** `log_sink_lost_total{sink}`: lines that found no room or were refused. */
export function measureLogSinks(registry: Registry, sinks: LogSinks): void {
  new Counter({
    name: 'log_sink_lost_total',
    help: 'Log lines and audit entries a sink could not keep until its far end took them',
    labelNames: ['sink'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [sink, lines] of Object.entries(sinks.lost())) this.inc({ sink }, lines);
    },
  });
}
