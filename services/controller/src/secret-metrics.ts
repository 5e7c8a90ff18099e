import type { Logger } from '@flowstate/runtime';
import { readSecrets, type SecretRecord, type Sql } from '@flowstate/store';
import { Gauge, type Registry } from '@prometheus-io/client';

/** How old every secret is beside how old it may become: the alert is the one above the other. */
export function secretMetrics(registry: Registry, sql: Sql, log: Logger): void {
  /** Each reads for itself: a scrape collects them side by side. */
  function gauge(name: string, help: string, valueOf: (secret: SecretRecord) => number | null): void {
    new Gauge({
      name,
      help,
      labelNames: ['secret'],
      registers: [registry],
      async collect() {
        this.reset();
        try {
          for (const secret of await readSecrets(sql)) {
            const value = valueOf(secret);
            if (value !== null) this.set({ secret: secret.name }, value);
          }
        } catch (error) {
          log.warn({ err: error }, 'ages of secrets cannot be read');
        }
      },
    });
  }
  gauge(
    'flowstate_secret_age_seconds',
    'Since the last rotation of a secret, or since it was first seen; without a sample for one that is not set',
    ({ since, now }) => (since === null ? null : (now.getTime() - since.getTime()) / 1000),
  );
  gauge('flowstate_secret_max_age_seconds', 'How old a secret may become', ({ maxAgeDays }) => maxAgeDays * 86_400);
}

const hourMs = 3600_000;

/** Logs every hour which secrets are over age. */
export function createSecretWatch(sql: Sql, log: Logger): () => Promise<void> {
  let lookedAt = -hourMs;

  return async function watch() {
    if (performance.now() - lookedAt < hourMs) return;
    for (const { name, since, maxAgeDays, now } of await readSecrets(sql)) {
      const days = since === null ? 0 : (now.getTime() - since.getTime()) / (24 * hourMs);
      if (days > maxAgeDays) log.warn({ secret: name, days: Math.floor(days), maxAgeDays }, 'secret is over age');
    }
    lookedAt = performance.now();
  };
}
