import { Gauge, type Registry } from '@prometheus-io/client';

/**
 * Shows the number by which the ledger knows this process: who scrapes can say which replicas are scraped, and not only
 * how many answers came. Without a sample while it has none.
 */
export function measureInstance(registry: Registry, service: string, id: () => number | undefined): void {
  new Gauge({
    name: 'flowstate_instance_id',
    help: 'The number of this process in the ledger',
    labelNames: ['service'],
    registers: [registry],
    collect() {
      this.reset();
      const own = id();
      if (own !== undefined) this.set({ service }, own);
    },
  });
}
