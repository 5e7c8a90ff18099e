import { Redis } from 'ioredis';

/** A connection for an operator's command, to the first of these addresses that lets it in. Throws what the first one said. */
export async function openRedis(urls: readonly string[]): Promise<Redis> {
  let reason: Error | undefined;
  for (const url of urls) {
    const redis = new Redis(url, {
      lazyConnect: true,
      connectTimeout: 3_000,
      commandTimeout: 5_000,
      maxRetriesPerRequest: 0,
      retryStrategy: () => null,
    });
    // ioredis keeps the cause for its event; the promise only says that the connection is closed.
    redis.on('error', (error: Error) => (reason ??= error));
    try {
      await redis.connect();
      await redis.ping();
      return redis;
    } catch (error) {
      reason ??= error as Error;
      redis.disconnect();
    }
  }
  throw reason ?? new Error('no address was given');
}
