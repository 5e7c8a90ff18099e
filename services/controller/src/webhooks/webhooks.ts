import { createWebhookSender, webhookKey, type Logger } from '@flowstate/runtime';
import type { Sql } from '@flowstate/store';
import type { Registry } from '@prometheus-io/client';
import type { ControllerConfig } from '../config.ts';
import { createWebhookDeliverer } from './deliverer.ts';
import { createWebhookMetrics } from './metrics.ts';

const timeoutMs = 10_000;
const limits = { concurrency: 64, perHost: 4, leaseMs: timeoutMs + 5_000 };

export type Webhooks = {
  /** Work of a loop: answers true when there is more to do right away. */
  deliver(): Promise<boolean>;
  /** Waits for what is under way; each try ends by its time limit. */
  close(): Promise<void>;
};

type Options = { config: ControllerConfig; sql: Sql; registry: Registry; log: Logger };

/** Webhooks as the configuration wants them: without a secret none are sent, and those there are stay pending. */
export function createWebhooks({ config, sql, registry, log }: Options): Webhooks {
  const metrics = createWebhookMetrics(registry, sql, log);
  const key = webhookKey(config.WEBHOOK_SECRET);
  if (key === null) {
    log.info('no WEBHOOK_SECRET: webhooks are not sent');
    return { deliver: async () => false, close: async () => {} };
  }
  const sender = createWebhookSender({
    key,
    version: config.FLOWSTATE_VERSION,
    allowPrivate: config.WEBHOOK_ALLOW_PRIVATE,
    timeoutMs,
    connections: limits.perHost,
  });
  const onTry = (outcome: string) => metrics.tries.inc({ outcome });
  const deliverer = createWebhookDeliverer({ sql, sender, log, onTry, limits });
  return {
    deliver: deliverer.deliver,
    async close() {
      await deliverer.settled();
      await sender.close();
    },
  };
}
