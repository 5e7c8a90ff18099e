import { startAtZero, type Logger } from '@flowstate/runtime';
import { webhookBacklog, type Sql } from '@flowstate/store';
import { Counter, Gauge, type Registry } from '@prometheus-io/client';

/** Tries by outcome, and what is still to be told; the latter is read from Postgres at each scrape. */
export function createWebhookMetrics(registry: Registry, sql: Sql, log: Logger) {
  const registers = [registry];
  let reading: ReturnType<typeof webhookBacklog> | undefined;
  // Both gauges are collected at once: one statement is enough.
  const backlog = () => (reading ??= webhookBacklog(sql).finally(() => (reading = undefined)));

  function backlogGauge(name: string, help: string, valueOf: (read: Awaited<ReturnType<typeof backlog>>) => number) {
    new Gauge({
      name,
      help,
      registers,
      async collect() {
        // A number from before an outage would look like the truth.
        this.remove();
        try {
          this.set(valueOf(await backlog()));
        } catch (err) {
          log.warn({ err }, 'webhooks cannot be counted');
        }
      },
    });
  }
  backlogGauge(
    'flowstate_webhooks_pending',
    'Webhooks neither delivered nor given up; without a sample while Postgres is away',
    ({ pending }) => pending,
  );
  backlogGauge(
    'flowstate_webhooks_oldest_pending_seconds',
    'Age of the oldest webhook neither delivered nor given up; 0 when there is none',
    ({ oldestSeconds }) => oldestSeconds,
  );
  const tries = new Counter({
    name: 'flowstate_webhook_tries_total',
    help: 'Tries to deliver a webhook by outcome: delivered, failed (to be tried again), given_up',
    labelNames: ['outcome'],
    registers,
  });
  startAtZero(tries, [{ outcome: 'delivered' }, { outcome: 'failed' }, { outcome: 'given_up' }]);
  return { tries };
}
