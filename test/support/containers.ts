import { randomBytes } from 'node:crypto';
import { storeImages, type Stores } from '@flowstate/local';
import {
  GenericContainer,
  getContainerRuntimeClient,
  getReaper,
  ImageName,
  Wait,
  type ContainerRuntimeClient,
  type StartedTestContainer,
} from 'testcontainers';

type ContainerStores = Pick<Stores, 'databaseUrl' | 'redisUrl' | 'redisCacheUrl' | 'stop'>;
type Options = { log: (line: string) => void; signal: AbortSignal };

const role = 'flowstate';

/**
 * Test stores in containers, set up as those of `npm start`; null when no engine answers, or after a line with the
 * reason when it cannot run them. No container is left then, nor when `signal` aborts, which rejects.
 */
export async function startContainerStores({ log, signal }: Options): Promise<ContainerStores | null> {
  let engine: ContainerRuntimeClient;
  try {
    engine = await getContainerRuntimeClient();
  } catch {
    return null; // no engine: the ordinary case on a bare machine, worth no line
  }
  const started: StartedTestContainer[] = [];
  const stop = async () => {
    await Promise.all(started.splice(0).map((container) => container.stop()));
  };
  const start = async (image: string, settings: (container: GenericContainer) => GenericContainer) => {
    signal.throwIfAborted();
    const running = await named(image, settings(new GenericContainer(image)).start());
    started.push(running);
    return running;
  };
  try {
    for (const image of Object.values(storeImages)) await fetchImage(engine, image, { log, signal });
    await startReaper(engine, log);
    const password = randomBytes(24).toString('base64url');
    const postgres = await start(storeImages.postgres, asPostgres(password));
    const queue = await start(storeImages.redis, asRedis(password, '--maxmemory-policy', 'noeviction'));
    const evicting = ['--maxmemory', '256mb', '--maxmemory-policy', 'allkeys-lru'];
    const cache = await start(storeImages.redis, asRedis(password, ...evicting));
    signal.throwIfAborted();
    const at = (container: StartedTestContainer, port: number) =>
      `${container.getHost()}:${container.getMappedPort(port)}`;
    return {
      databaseUrl: `postgres://${role}:${password}@${at(postgres, 5432)}/${role}`,
      redisUrl: `redis://:${password}@${at(queue, 6379)}`,
      redisCacheUrl: `redis://:${password}@${at(cache, 6379)}`,
      stop,
    };
  } catch (error) {
    await stop();
    signal.throwIfAborted();
    log(`A Docker engine answers, but cannot run the stores (${reason(error)}): using local programs`);
    return null;
  }
}

function asPostgres(password: string) {
  const environment = {
    POSTGRES_USER: role,
    POSTGRES_DB: role,
    POSTGRES_PASSWORD: password,
    POSTGRES_INITDB_ARGS: '--encoding=UTF8 --locale=C --locale-provider=builtin --builtin-locale=C.UTF-8',
  };
  return (container: GenericContainer) =>
    container
      .withEnvironment(environment)
      .withCommand(['postgres', '-c', 'jit=off', '-c', 'max_connections=400', '-c', 'timezone=UTC'])
      .withSharedMemorySize(256 * 1024 ** 2)
      .withExposedPorts(5432)
      // The image starts once to initialise and once for good.
      .withWaitStrategy(Wait.forLogMessage(/database system is ready to accept connections/, 2));
}

function asRedis(password: string, ...settings: string[]) {
  const command = ['redis-server', '--databases', '1024', '--save', '', '--requirepass', password, ...settings];
  return (container: GenericContainer) => container.withCommand(command).withExposedPorts(6379);
}

/** An image that is there is used as it is; one that is not may take minutes, in which Ctrl-C must work. */
async function fetchImage(engine: ContainerRuntimeClient, image: string, { log, signal }: Options): Promise<void> {
  signal.throwIfAborted();
  const name = ImageName.fromString(image);
  if (await engine.image.exists(name)) return;
  log(`Pulling ${image} …`);
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await named(image, Promise.race([engine.image.pull(name), aborted.promise]));
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Testcontainers' own container that removes the others when this process is killed. We stop them in every other end. */
export async function startReaper(engine: ContainerRuntimeClient, log: (line: string) => void): Promise<void> {
  try {
    await getReaper(engine);
  } catch (error) {
    process.env['TESTCONTAINERS_RYUK_DISABLED'] = 'true';
    log(`No reaper (${reason(error)}): containers of tests that are killed with -9 stay until you remove them`);
  }
}

/** Says of which image a failure is: neither the engine nor testcontainers does. */
async function named<T>(image: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw new Error(`${image}: ${reason(error)}`, { cause: error });
  }
}

function reason(error: unknown): string {
  return (error as Error).message.trim();
}
