import { Gauge, type Registry } from '@prometheus-io/client';

const states = ['closed', 'open', 'half_open'] as const;

/** Shows whether a far end is asked, left alone, or being tried: 1 for the state it is in. */
export function measureCircuit(registry: Registry, name: string, state: () => (typeof states)[number]): void {
  new Gauge({
    name: `${name}_circuit`,
    help: `1 for the state of the circuit breaker (${name})`,
    labelNames: ['state'],
    registers: [registry],
    collect() {
      const current = state();
      for (const other of states) this.set({ state: other }, other === current ? 1 : 0);
    },
  });
}
