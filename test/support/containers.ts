import type { Stores } from '@flowstate/local';
import { GenericContainer, getContainerRuntimeClient, Wait, type StartedTestContainer } from 'testcontainers';

const postgresImage = 'pgvector/pgvector:pg17';
const redisImage = 'redis:7.4-alpine';

type ContainerStores = Pick<Stores, 'databaseUrl' | 'redisUrl' | 'redisCacheUrl' | 'stop'>;

/** Test stores in containers; null with the reason when no engine answers or an image is not to be had. */
export async function startContainerStores(log: (line: string) => void): Promise<ContainerStores | null> {
  try {
    await getContainerRuntimeClient();
  } catch {
    return null; // no engine: the ordinary case on a bare machine, worth no line
  }
  const started: StartedTestContainer[] = [];
  const stop = async () => {
    await Promise.all(started.splice(0).map((container) => container.stop()));
  };
  const start = async (container: GenericContainer) => {
    const running = await container.start();
    started.push(running);
    return running;
  };
  try {
    const postgres = await start(
      new GenericContainer(postgresImage)
        .withEnvironment({ POSTGRES_PASSWORD: 'test' })
        .withCommand(['postgres', '-c', 'jit=off', '-c', 'max_connections=400'])
        .withExposedPorts(5432)
        // The image starts once to initialise and once for good.
        .withWaitStrategy(Wait.forLogMessage(/database system is ready to accept connections/, 2)),
    );
    const redis = () =>
      start(
        new GenericContainer(redisImage).withCommand(['redis-server', '--databases', '1024']).withExposedPorts(6379),
      );
    const [queue, cache] = [await redis(), await redis()];
    const at = (container: StartedTestContainer, port: number) =>
      `${container.getHost()}:${container.getMappedPort(port)}`;
    return {
      databaseUrl: `postgres://postgres:test@${at(postgres, 5432)}/postgres`,
      redisUrl: `redis://${at(queue, 6379)}`,
      redisCacheUrl: `redis://${at(cache, 6379)}`,
      stop,
    };
  } catch (error) {
    await stop();
    log(
      `A Docker engine answers, but its containers cannot be used (${(error as Error).message}): using local programs`,
    );
    return null;
  }
}
