import type { Logger } from '@flowstate/runtime';
import { countRecentOpinions, type Sql } from '@flowstate/store';
import { Gauge, type Registry } from '@prometheus-io/client';

/** Long enough for a few opinions to come together, short enough to notice when they turn. */
const days = 7;

/** How helpful recommendations are called, read from Postgres at each scrape; without samples while it is away. */
export function recommendationMetrics(registry: Registry, sql: Sql, log: Logger): void {
  const registers = [registry];
  let reading: ReturnType<typeof countRecentOpinions> | undefined;
  // Both gauges are collected at once: one statement is enough.
  const recent = () => (reading ??= countRecentOpinions(sql, days).finally(() => (reading = undefined)));

  function opinionGauge(name: string, help: string, valueOf: (count: { helpful: number; all: number }) => number) {
    new Gauge({
      name,
      help,
      labelNames: ['kind'],
      registers,
      async collect() {
        // A number from before an outage would look like the truth.
        this.reset();
        try {
          for (const count of await recent()) this.set({ kind: count.kind }, valueOf(count));
        } catch (err) {
          log.warn({ err }, 'opinions about recommendations cannot be counted');
        }
      },
    });
  }
  opinionGauge(
    'recommendation_feedback_recent',
    `Opinions about recommended items in the last ${days} days, by kind`,
    ({ all }) => all,
  );
  opinionGauge(
    'recommendation_helpful_share',
    `Share of the opinions of the last ${days} days that say helpful, by kind; without a sample where there are none`,
    ({ helpful, all }) => helpful / all,
  );
}
