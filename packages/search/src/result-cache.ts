import type { SearchHit } from '@flowstate/contracts';
import type { Redis } from 'ioredis';
import { decodeAnswer, dueForRefresh, encodeAnswer, type StoredAnswer } from './stored-answer.ts';

type Options = {
  redis: Redis;
  ttlSeconds: number;
  /** Seconds an answer without documents lives. */
  emptyTtlSeconds: number;
  /** Milliseconds a look-up may take. */
  timeoutMs: number;
};

export type Cached =
  | {
      /** `stale`: it still holds, but should be computed anew before it expires. */
      result: 'hit' | 'stale';
      hits: SearchHit[];
      /** Seconds since it was computed. */
      age: number;
    }
  | { result: 'miss' | 'unavailable' };

/** After a failure the cache is left alone for so long: only one search pays for a cache that hangs, not each. */
const restMs = 1_000;

/** Answers in Redis that may be missing, late or broken at any time: never an error, only a miss. */
export function createResultCache({ redis, ttlSeconds, emptyTtlSeconds, timeoutMs }: Options) {
  let restUntil = 0;
  const rest = () => {
    restUntil = performance.now() + restMs;
  };

  return {
    async get(key: string): Promise<Cached> {
      if (performance.now() < restUntil) return { result: 'unavailable' };
      let bytes: Buffer | null;
      try {
        bytes = await within(redis.getBuffer(key), timeoutMs);
      } catch {
        rest();
        return { result: 'unavailable' };
      }
      if (bytes === null) return { result: 'miss' };
      let answer: StoredAnswer;
      try {
        answer = decodeAnswer(bytes);
      } catch {
        return { result: 'miss' }; // not ours, or of another version: overwritten next
      }
      const now = Date.now();
      const result = dueForRefresh(answer, now) ? 'stale' : 'hit';
      return { result, hits: answer.hits, age: Math.max(0, now - answer.at) / 1000 };
    },

    /** In the background: nobody waits for it. `cost`: milliseconds the answer took. */
    set(key: string, hits: SearchHit[], cost: number): void {
      if (performance.now() < restUntil) return;
      const ttl = hits.length === 0 ? Math.min(ttlSeconds, emptyTtlSeconds) : ttlSeconds;
      const at = Date.now();
      const bytes = encodeAnswer({ hits, at, until: at + ttl * 1000, cost });
      if (bytes !== null) redis.set(key, bytes, 'EX', ttl).catch(rest);
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
