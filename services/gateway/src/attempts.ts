import type { Redis } from 'ioredis';

export type AttemptCounter = {
  /** Counts one more within the window that the first one opened. `ttl`: milliseconds until it closes. */
  hit(key: string, windowMs: number): Promise<{ current: number; ttl: number }>;
  forget(key: string): Promise<void>;
};

const maxRemembered = 50_000;

/** Counts in Redis, for all gateways together; while Redis is away each gateway counts for itself. */
export function createAttemptCounter(redis: Redis): AttemptCounter {
  const own = createMemoryCounter();
  const keyOf = (key: string) => `flowstate:attempts:${key}`;

  return {
    async hit(key, windowMs) {
      try {
        const answers = await redis
          .multi()
          .incr(keyOf(key))
          .pexpire(keyOf(key), windowMs, 'NX')
          .pttl(keyOf(key))
          .exec();
        const [current, , ttl] = (answers ?? []).map(([error, value]) => {
          if (error) throw error;
          return value as number;
        });
        if (current === undefined || ttl === undefined) throw new Error('Redis dropped the count');
        return { current, ttl };
      } catch {
        return own.hit(key, windowMs);
      }
    },
    async forget(key) {
      await own.forget(key);
      await redis.del(keyOf(key)).catch(() => {}); // then it closes with its window
    },
  };
}

function createMemoryCounter(): AttemptCounter {
  const counts = new Map<string, { current: number; closesAt: number }>();
  return {
    async hit(key, windowMs) {
      const now = performance.now();
      const known = counts.get(key);
      const count = known !== undefined && known.closesAt > now ? known : { current: 0, closesAt: now + windowMs };
      count.current += 1;
      counts.delete(key);
      counts.set(key, count);
      if (counts.size > maxRemembered) counts.delete(counts.keys().next().value as string);
      return { current: count.current, ttl: count.closesAt - now };
    },
    async forget(key) {
      counts.delete(key);
    },
  };
}
