import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LocalEnv } from '../local-env.ts';
import type { ComposeSecrets } from './compose-settings.ts';

/**
 * Which secrets a service of deploy/compose.yaml may read. Each has a folder of its own, mounted nowhere else, with a
 * file a secret, which `NAME_FILE` names.
 */
export function secretsByService(settings: LocalEnv & ComposeSecrets): Record<string, Record<string, string>> {
  const { REDIS_URL, REDIS_CACHE_URL, JWT_SECRET, WORKER_API_KEY, WEBHOOK_SECRET, METRICS_TOKEN } = settings;
  return {
    postgres: { PASSWORD: settings.STORE_PASSWORD },
    // Redis takes its password from its configuration or its command line, which other processes can see.
    redis: { PASSWORD: settings.STORE_PASSWORD, 'redis.conf': `requirepass ${settings.STORE_PASSWORD}` },
    gateway: {
      DATABASE_URL: settings.APP_DATABASE_URL,
      REDIS_URL,
      REDIS_CACHE_URL,
      JWT_SECRET,
      WORKER_API_KEY,
      WEBHOOK_SECRET,
      METRICS_TOKEN,
    },
    worker: { DATABASE_URL: settings.WORKER_DATABASE_URL, REDIS_URL, WORKER_API_KEY, METRICS_TOKEN },
    controller: {
      DATABASE_URL: settings.APP_DATABASE_URL,
      REDIS_URL,
      SCALER_TOKEN: settings.SCALER_TOKEN,
      WEBHOOK_SECRET,
      METRICS_TOKEN,
    },
    prometheus: { METRICS_TOKEN },
    grafana: { PASSWORD: settings.GRAFANA_PASSWORD },
  };
}

/** Writes them below `folder`; who may mount a folder may read it, whatever user its service runs as. */
export function writeSecrets(folder: string, secrets: Record<string, Record<string, string>>): void {
  for (const [service, files] of Object.entries(secrets)) {
    mkdirSync(join(folder, service), { recursive: true });
    for (const [name, value] of Object.entries(files)) {
      const file = join(folder, service, name);
      rmSync(`${file}.new`, { force: true });
      writeFileSync(`${file}.new`, `${value}\n`, { mode: 0o444 });
      renameSync(`${file}.new`, file);
    }
  }
}
