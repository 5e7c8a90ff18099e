import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startStores, type Outage, type Stores } from '@flowstate/local';
import type { Test } from 'tap';
import { requiredEnv } from './environment.ts';

export type OwnStores = Stores & { postgres: Outage; redis: Outage };

/** Stores of our own, which we may take away; the reason where there are no local programs to run. */
export async function startOwnStores(
  t: Pick<Test, 'teardown'>,
  log: (line: string) => void = () => {},
): Promise<OwnStores | string> {
  const dataDir = await mkdtemp(join(tmpdir(), 'flowstate-outage-'));
  const stores = await startStores({
    dataDir,
    cacheDir: requiredEnv('FLOWSTATE_CACHE'),
    ephemeral: true,
    env: { PATH: process.env.PATH },
    log,
  }).catch((error: unknown) => String(error));
  if (typeof stores === 'string') {
    await rm(dataDir, { recursive: true, force: true });
    return stores;
  }
  t.teardown(async () => {
    await stores.stop();
    await rm(dataDir, { recursive: true, force: true });
  });
  const { postgres, redis } = stores;
  if (postgres === undefined || redis === undefined)
    return 'stores are not processes of ours here, they cannot be taken away';
  return { ...stores, postgres, redis };
}
