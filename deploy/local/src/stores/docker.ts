import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Advice, run } from '../../host.mjs';
import { freePort } from '../ports.ts';
import { dockerServices, down, mark, projectName } from './docker-project.ts';
import { storeImages } from './images.ts';
import type { StoreHome } from './store-home.ts';

const composeFile = fileURLToPath(new URL('../../stores.compose.yaml', import.meta.url));
const answerMs = 20_000;

export type DockerStores = {
  databaseUrl: string;
  redisUrl: string;
  redisCacheUrl: string;
  stop(): Promise<void>;
};

/**
 * Runs the stores that are needed as containers; their data is in volumes that `removeDockerStores` deletes.
 * Throws `Advice` where no engine with compose answers or it cannot start them; then no container is left.
 */
export async function startDockerStores(
  needed: { postgres: boolean; redis: boolean },
  home: StoreHome,
  env: NodeJS.ProcessEnv,
): Promise<DockerStores> {
  await assertEngine(home.signal, env);
  const project = projectName(home.dir);
  const services = [...(needed.postgres ? ['postgres'] : []), ...(needed.redis ? ['redis', 'redis-cache'] : [])];
  const known = dockerServices(home.dir);
  const isNew = home.ephemeral || known.size === 0;
  // Volumes this clone does not know of are an earlier clone's at the same path.
  await down(project, { volumes: isNew, env });
  const ports = new Map<string, number>();
  for (const name of ['postgres', 'redis', 'redis-cache']) {
    const port = await freePort(home.ports.get(name));
    home.ports.set(name, port);
    ports.set(name, port);
  }
  const composeEnv = {
    ...env,
    FLOWSTATE_POSTGRES_IMAGE: storeImages.postgres,
    FLOWSTATE_REDIS_IMAGE: storeImages.redis,
    FLOWSTATE_STORE_PASSWORD: home.password,
    FLOWSTATE_POSTGRES_PORT: String(ports.get('postgres')),
    FLOWSTATE_REDIS_PORT: String(ports.get('redis')),
    FLOWSTATE_REDIS_CACHE_PORT: String(ports.get('redis-cache')),
  };
  home.log(`Starting ${services.join(', ')} in Docker …`);
  mark(home.dir, new Set([...known, ...services]));
  try {
    const up = ['compose', '-p', project, '-f', composeFile, 'up', '--detach', '--wait', ...services];
    const { code, stderr } = await run('docker', up, { env: composeEnv, signal: home.signal });
    if (code !== 0) throw new Advice(await whyNot(stderr, project, home, env));
    await assertReachable(ports.get(services[0] ?? ''));
  } catch (error) {
    await down(project, { volumes: isNew, env });
    mark(home.dir, known);
    throw error;
  }
  const redis = (name: string): string => `redis://:${home.password}@127.0.0.1:${ports.get(name)}`;
  return {
    databaseUrl: `postgres://flowstate:${home.password}@127.0.0.1:${ports.get('postgres')}/flowstate`,
    redisUrl: redis('redis'),
    redisCacheUrl: redis('redis-cache'),
    async stop() {
      await down(project, { volumes: home.ephemeral, env });
    },
  };
}

async function assertEngine(signal: AbortSignal, env: NodeJS.ProcessEnv): Promise<void> {
  const limit = AbortSignal.timeout(answerMs);
  const ask = async (...args: string[]) => run('docker', args, { env, signal: AbortSignal.any([signal, limit]) });
  try {
    const engine = await ask('version');
    if (engine.code === 127) throw new Advice('no engine answers (there is no docker command)');
    if (engine.code !== 0) throw new Advice(`no engine answers (${firstLine(engine.stderr)})`);
    if ((await ask('compose', 'version')).code !== 0)
      throw new Advice('an engine answers, but its command has no compose: install the plugin docker-compose');
  } catch (error) {
    if (!limit.aborted || signal.aborted) throw error;
    throw new Advice(`no engine answers (waited ${answerMs / 1000} s)`);
  }
}

/** The engine of another machine, or of the host when this is a container itself, publishes ports where we are not. */
async function assertReachable(port = 0): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
  } catch {
    throw new Advice('the containers started, but not on this machine: their ports are not on its 127.0.0.1');
  } finally {
    socket.destroy();
  }
}

/** Compose's last line, and where to read on when a container itself did not come up. */
async function whyNot(stderr: string, project: string, home: StoreHome, env: NodeJS.ProcessEnv): Promise<string> {
  const images = Object.values(storeImages).join(', ');
  const reason = `the containers (${images}) did not start: ${stderr.trim().split('\n').at(-1)}`;
  const { stdout } = await run('docker', ['compose', '--ansi=never', '-p', project, 'logs'], { env });
  if (home.ephemeral || stdout.trim() === '') return reason;
  const file = join(home.dir, 'docker.log');
  writeFileSync(file, stdout, { mode: 0o600 });
  return `${reason} (what they said is in ${file})`;
}

function firstLine(text: string): string {
  return text.trim().split('\n')[0] || 'no reason given';
}
