import type { Logger } from '@flowstate/runtime';
import { readSecrets, type Sql } from '@flowstate/store';
import type { Registry } from '@prometheus-io/client';
import { createScrapedGauges } from './scraped-gauges.ts';

/** How old every secret is beside how old it may become: the alert is the one above the other. */
export function secretMetrics(registry: Registry, sql: Sql, log: Logger): void {
  const gauge = createScrapedGauges({
    registry,
    log,
    read: () => readSecrets(sql),
    trouble: 'ages of secrets cannot be read',
  });
  gauge({
    name: 'flowstate_secret_age_seconds',
    help: 'Since the last rotation of a secret, or since it was first seen; without a sample for one that is not set',
    labelNames: ['secret'],
    samples: (secrets) =>
      secrets.flatMap(({ name: secret, since, now }) =>
        since === null ? [] : [[{ secret }, (now.getTime() - since.getTime()) / 1000]],
      ),
  });
  gauge({
    name: 'flowstate_secret_max_age_seconds',
    help: 'How old a secret may become',
    labelNames: ['secret'],
    samples: (secrets) => secrets.map(({ name: secret, maxAgeDays }) => [{ secret }, maxAgeDays * 86_400]),
  });
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
