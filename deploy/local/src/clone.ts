import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CLONE } from '../toolchain.mjs';
import { reapOrphans } from './processes.ts';
import { removeDockerStores } from './stores/docker-project.ts';
import { storeFolder } from './stores/store-home.ts';

const dir = join(CLONE, '.flowstate');

/** Where this clone keeps what `npm start` makes. */
export const clone = {
  root: CLONE,
  dir,
  env: join(dir, 'local.env'),
  /** Who is running, see processes.ts. */
  processes: join(dir, 'processes.json'),
  /** Held while `npm start` runs. */
  lock: join(dir, 'start.lock'),
  /** What a first start has finished, see sample.ts. */
  progress: join(dir, 'progress.json'),
  /** Data of Postgres and Redis. */
  stores: storeFolder(dir),
};

/** Ends whatever a killed start of this clone left running; returns the names. */
export async function endLeftovers(): Promise<string[]> {
  if (!existsSync(clone.dir)) return [];
  const ended = await reapOrphans(clone.processes);
  await removeDockerStores(clone.stores, { volumes: false });
  return ended;
}
