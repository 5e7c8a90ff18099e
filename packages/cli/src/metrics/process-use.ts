import { sumBy, type Sample } from './samples.ts';
import type { Watched } from './two-readings.ts';

/** What one process uses of its machine. */
export type ProcessUse = {
  service: string;
  host: string;
  /** Cores, on average while it was looked at: 1 is all that one event loop has. */
  cores: number;
  residentBytes: number;
  heapUsedBytes: number;
  /** At which Node.js gives up; null: it does not say. */
  heapLimitBytes: number | null;
};

/** Of each process that was read twice. */
export function processUses({ readings, earlier }: Watched, seconds: number): ProcessUse[] {
  return readings.map(({ url, service, samples }) => {
    const now = (name: string, of: Sample[] = samples) => sumBy(of, name, '').get('');
    const before = now('process_cpu_seconds_total', earlier.get(url) ?? samples) ?? 0;
    return {
      service,
      host: new URL(url).host,
      cores: Math.max(0, (now('process_cpu_seconds_total') ?? 0) - before) / seconds,
      residentBytes: now('process_resident_memory_bytes') ?? 0,
      heapUsedBytes: now('nodejs_heap_size_used_bytes') ?? 0,
      heapLimitBytes: now('nodejs_heap_size_limit_bytes') ?? null,
    };
  });
}
