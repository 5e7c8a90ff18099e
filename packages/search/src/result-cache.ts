import { createCheck, SearchHit } from '@flowstate/contracts';
import type { Redis } from 'ioredis';
import Type from 'typebox';

type Options = {
  redis: Redis;
  ttlSeconds: number;
  /** Milliseconds a look-up may take. */
  timeoutMs: number;
};

export type Cached = { result: 'hit'; hits: SearchHit[] } | { result: 'miss' | 'unavailable' };

/** Larger answers (characters of JSON) cost more to move than to compute. */
const maxLength = 512 * 1024;
/** After a failure the cache is left alone for so long: only one search pays for a cache that hangs, not each. */
const restMs = 1_000;
const checkHits = createCheck(Type.Array(SearchHit), { root: 'cached' });

/** Answers in Redis that may be missing, late or broken at any time: never an error, only a miss. */
export function createResultCache({ redis, ttlSeconds, timeoutMs }: Options) {
  let restUntil = 0;
  const rest = () => {
    restUntil = performance.now() + restMs;
  };

  return {
    async get(key: string): Promise<Cached> {
      if (performance.now() < restUntil) return { result: 'unavailable' };
      let text: string | null;
      try {
        text = await within(redis.get(key), timeoutMs);
      } catch {
        rest();
        return { result: 'unavailable' };
      }
      if (text === null) return { result: 'miss' };
      try {
        return { result: 'hit', hits: checkHits(JSON.parse(text)) };
      } catch {
        return { result: 'miss' }; // not ours, or of another version: overwritten next
      }
    },

    /** In the background: nobody waits for it. */
    set(key: string, hits: SearchHit[]): void {
      if (performance.now() < restUntil) return;
      const text = JSON.stringify(hits);
      if (text.length <= maxLength) redis.set(key, text, 'EX', ttlSeconds).catch(rest);
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
