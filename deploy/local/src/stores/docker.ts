import { createHash } from 'node:crypto';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Advice, run } from '../../host.mjs';
import { freePort } from '../ports.ts';
import type { StoreHome } from './store-home.ts';

const composeFile = fileURLToPath(new URL('../../stores.compose.yaml', import.meta.url));
/** Beside the data once Docker was used, so that a later stop or reset knows of it. */
const markerName = 'docker-project';

export type DockerStores = {
  databaseUrl: string;
  redisUrl: string;
  redisCacheUrl: string;
  stop(): Promise<void>;
};

/** Whether a Docker engine answers and has compose. */
export async function hasDocker(signal: AbortSignal): Promise<boolean> {
  for (const args of [['info'], ['compose', 'version']]) {
    if ((await run('docker', args, { signal })).code !== 0) return false;
  }
  return true;
}

/** Runs the stores that are needed as containers; their data is in volumes that `removeDockerStores` deletes. */
export async function startDockerStores(
  needed: { postgres: boolean; redis: boolean },
  home: StoreHome,
): Promise<DockerStores> {
  const project = `flowstate-${createHash('sha256').update(home.dir).digest('hex').slice(0, 8)}`;
  const services = [...(needed.postgres ? ['postgres'] : []), ...(needed.redis ? ['redis', 'redis-cache'] : [])];
  await down(project, home.ephemeral);
  const ports = new Map<string, number>();
  for (const name of ['postgres', 'redis', 'redis-cache']) {
    const port = await freePort(home.ports.get(name));
    home.ports.set(name, port);
    ports.set(name, port);
  }
  const env = {
    ...process.env,
    FLOWSTATE_STORE_PASSWORD: home.password,
    FLOWSTATE_POSTGRES_PORT: String(ports.get('postgres')),
    FLOWSTATE_REDIS_PORT: String(ports.get('redis')),
    FLOWSTATE_REDIS_CACHE_PORT: String(ports.get('redis-cache')),
  };
  home.log(`Starting ${services.join(', ')} in Docker …`);
  writeFileSync(join(home.dir, markerName), project);
  const stop = async (): Promise<void> => {
    await down(project, home.ephemeral);
  };
  try {
    const up = ['compose', '-p', project, '-f', composeFile, 'up', '--detach', '--wait', ...services];
    const { code, stderr } = await run('docker', up, { env, signal: home.signal });
    if (code !== 0) throw new Advice(`Docker could not start the stores: ${stderr.trim().split('\n').at(-1)}`);
  } catch (error) {
    await stop();
    throw error;
  }
  const redis = (name: string): string => `redis://:${home.password}@127.0.0.1:${ports.get(name)}`;
  return {
    databaseUrl: `postgres://flowstate:${home.password}@127.0.0.1:${ports.get('postgres')}/flowstate`,
    redisUrl: redis('redis'),
    redisCacheUrl: redis('redis-cache'),
    stop,
  };
}

/** Removes containers a killed start left, and with `volumes` their data. Does nothing where Docker was not used. */
export async function removeDockerStores(dir: string, { volumes }: { volumes: boolean }): Promise<void> {
  const project = `flowstate-${createHash('sha256').update(dir).digest('hex').slice(0, 8)}`;
  const marker = join(dir, markerName);
  if (!existsSync(marker)) return;
  await down(project, volumes);
  if (volumes) rmSync(marker, { force: true });
}

async function down(project: string, volumes: boolean): Promise<void> {
  // By project name alone: the compose file's variables are not known here.
  await run('docker', ['compose', '-p', project, 'down', ...(volumes ? ['--volumes'] : [])]);
}
