import { startAtZero, type Logger } from '@flowstate/runtime';
import { webhookBacklog, type Sql } from '@flowstate/store';
import { Counter, type Registry } from '@prometheus-io/client';
import { createScrapedGauges } from '../scraped-gauges.ts';

/** Tries by outcome, and what is still to be told; the latter is read from Postgres at each scrape. */
export function createWebhookMetrics(registry: Registry, sql: Sql, log: Logger) {
  const gauge = createScrapedGauges({
    registry,
    log,
    read: () => webhookBacklog(sql),
    trouble: 'webhooks cannot be counted',
  });
  gauge({
    name: 'flowstate_webhooks_pending',
    help: 'Webhooks neither delivered nor given up; without a sample while Postgres is away',
    samples: ({ pending }) => [[{}, pending]],
  });
  gauge({
    name: 'flowstate_webhooks_oldest_pending_seconds',
    help: 'Age of the oldest webhook neither delivered nor given up; 0 when there is none',
    samples: ({ oldestSeconds }) => [[{}, oldestSeconds]],
  });
  const tries = new Counter({
    name: 'flowstate_webhook_tries_total',
    help: 'Tries to deliver a webhook by outcome: delivered, failed (to be tried again), given_up',
    labelNames: ['outcome'],
    registers: [registry],
  });
  startAtZero(tries, [{ outcome: 'delivered' }, { outcome: 'failed' }, { outcome: 'given_up' }]);
  return { tries };
}
