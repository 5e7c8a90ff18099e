import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { settleLocalEnv, type LocalEnv } from '../local-env.ts';
import { readIfThere, writePrivate } from '../private-file.ts';

/** Secrets that only deploy/compose.yaml has: `npm start` makes its stores by itself, and watches nothing. */
export type ComposeSecrets = { STORE_PASSWORD: string; METRICS_TOKEN: string; GRAFANA_PASSWORD: string };

const secret = (): string => randomBytes(32).toString('base64url');

/**
 * Settings of the platform that deploy/compose.yaml describes, with the names of its services as hosts: kept in the
 * folder `state`, which is made complete on the first call and changes nothing afterwards.
 */
export function composeSettings(state: string): LocalEnv & ComposeSecrets {
  const file = join(state, 'compose.json');
  const own = {
    STORE_PASSWORD: secret(),
    METRICS_TOKEN: secret(),
    GRAFANA_PASSWORD: secret(),
    ...(JSON.parse(readIfThere(file) ?? '{}') as Partial<ComposeSecrets>),
  };
  writePrivate(file, `${JSON.stringify(own, null, 2)}\n`);
  const urls = {
    DATABASE_URL: `postgres://flowstate:${own.STORE_PASSWORD}@postgres:5432/flowstate`,
    REDIS_URL: `redis://:${own.STORE_PASSWORD}@redis:6379`,
    REDIS_CACHE_URL: `redis://:${own.STORE_PASSWORD}@redis-cache:6379`,
    GATEWAY_URL: 'http://gateway:3001',
    WORKER_URL: 'http://worker:8000',
    CONTROLLER_URL: 'http://controller:8090',
  };
  return { ...settleLocalEnv(join(state, 'local.env'), urls, {}), ...own };
}
