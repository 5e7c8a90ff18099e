import type { Logger } from '@flowstate/runtime';
import { countRecentOpinions, type Sql } from '@flowstate/store';
import type { Registry } from '@prometheus-io/client';
import { createScrapedGauges } from './scraped-gauges.ts';

/** Long enough for a few opinions to come together, short enough to notice when they turn. */
const days = 7;

/** How helpful recommendations are called. */
export function recommendationMetrics(registry: Registry, sql: Sql, log: Logger): void {
  const gauge = createScrapedGauges({
    registry,
    log,
    read: () => countRecentOpinions(sql, days),
    trouble: 'opinions about recommendations cannot be counted',
  });
  gauge({
    name: 'recommendation_feedback_recent',
    help: `Opinions about recommended items in the last ${days} days, by kind`,
    labelNames: ['kind'],
    samples: (counts) => counts.map(({ kind, all }) => [{ kind }, all]),
  });
  gauge({
    name: 'recommendation_helpful_share',
    help: `Share of the opinions of the last ${days} days that say helpful, by kind; without a sample where there are none`,
    labelNames: ['kind'],
    samples: (counts) => counts.map(({ kind, helpful, all }) => [{ kind }, helpful / all]),
  });
}
