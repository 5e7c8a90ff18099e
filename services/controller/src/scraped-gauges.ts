import type { Logger } from '@flowstate/runtime';
import { Gauge, type Registry } from '@prometheus-io/client';

type Options<Found> = {
  registry: Registry;
  log: Logger;
  /** Asks a store, once for all gauges of a scrape: they are collected side by side. */
  read: () => Promise<Found>;
  /** Said in the log when it fails. */
  trouble: string;
};

type ScrapedGauge<Found> = {
  name: string;
  help: string;
  labelNames?: readonly string[];
  /** Of a gauge without labels one at most. */
  samples: (found: Found) => Iterable<readonly [labels: Record<string, string>, value: number]>;
};

/**
 * Gauges of what stands in a store, read at each scrape. While it is away they have no samples: a number from before
 * would look like the truth, and so would a zero.
 */
export function createScrapedGauges<Found>({ registry, log, read, trouble }: Options<Found>) {
  let reading: Promise<{ found: Found } | null> | undefined;

  async function readOnce(): Promise<{ found: Found } | null> {
    try {
      return { found: await read() };
    } catch (err) {
      log.warn({ err }, trouble);
      return null;
    }
  }

  return function gauge({ name, help, labelNames = [], samples }: ScrapedGauge<Found>): void {
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      async collect() {
        reading ??= readOnce().finally(() => (reading = undefined));
        const answer = await reading;
        this.reset();
        if (labelNames.length === 0) this.remove(); // its `reset` leaves a zero
        if (answer === null) return;
        for (const [labels, value] of samples(answer.found)) this.set(labels, value);
      },
    });
  };
}
