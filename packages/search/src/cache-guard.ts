import { inRedisSpan } from '@flowstate/tracing';
import type { Redis } from 'ioredis';

/** After a failure the cache is left alone for so long: only one search pays for a cache that hangs, not each. */
const restMs = 1_000;

export type CacheGuard = {
  /** Asks the cache; null when it is away, took too long, or rests after that. */
  ask<T>(command: (redis: Redis) => Promise<T>): Promise<{ value: T } | null>;
  /** In the background: nobody waits for it. */
  tell(command: (redis: Redis) => Promise<unknown>): void;
};

/** The way to a Redis that may be away, late or hanging at any time: never an error, and `timeoutMs` at most. */
export function createCacheGuard(redis: Redis, timeoutMs: number): CacheGuard {
  let restUntil = 0;
  const rest = () => {
    restUntil = performance.now() + restMs;
  };
  const resting = () => performance.now() < restUntil;

  return {
    async ask(command) {
      if (resting()) return null;
      try {
        return { value: await inRedisSpan('GET', 'vector-search', () => within(command(redis), timeoutMs)) };
      } catch {
        rest();
        return null;
      }
    },
    tell(command) {
      if (!resting()) command(redis).catch(rest);
    },
  };
}

async function within<T>(promise: Promise<T>, ms: number): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`took longer than ${ms} ms`)), ms);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
