import { randomUUID } from 'node:crypto';
import type { CacheGuard } from './cache-guard.ts';
import { decodeAnswer, encodeAnswer, type StoredAnswer } from './stored-answer.ts';

type Options = {
  guard: CacheGuard;
  /** Milliseconds after which a lock ends by itself. */
  leaseMs: number;
  moved(direction: 'read' | 'written', bytes: number): void;
};

export type Claim = {
  answer: StoredAnswer | null;
  /** Computing falls to us until the lease ends; null: another process has the lock. */
  token: string | null;
};

/** Only its holder ends a lock: it may have expired and be another's by now. */
const releaseScript = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";
const lockOf = (key: string) => `${key}:lock`;

/** Answers in Redis and the locks of those who compute them. Whatever fails there answers undefined. */
export function createResultCache({ guard, leaseMs, moved }: Options) {
  function read(bytes: Buffer | null): StoredAnswer | null {
    if (bytes === null) return null;
    moved('read', bytes.length);
    try {
      return decodeAnswer(bytes);
    } catch {
      return null; // not ours, or of another version: overwritten next
    }
  }

  return {
    async get(key: string): Promise<StoredAnswer | null | undefined> {
      const found = await guard.ask((redis) => redis.getBuffer(key));
      return found === null ? undefined : read(found.value);
    },

    /** Takes the lock, if it is free, and looks once more: its last holder may have stored the answer since. */
    async claim(key: string): Promise<Claim | undefined> {
      const token = randomUUID();
      const found = await guard.ask(async (redis) => {
        const replies = await redis.multi().set(lockOf(key), token, 'PX', leaseMs, 'NX').getBuffer(key).exec();
        return (replies ?? []).map(([error, reply]) => {
          if (error !== null) throw error;
          return reply;
        });
      });
      if (found === null) return undefined;
      const [locked, bytes] = found.value;
      return { answer: read(Buffer.isBuffer(bytes) ? bytes : null), token: locked === 'OK' ? token : null };
    },

    put(key: string, answer: StoredAnswer): void {
      const bytes = encodeAnswer(answer);
      if (bytes === null) return;
      moved('written', bytes.length);
      guard.tell((redis) => redis.set(key, bytes, 'PX', Math.max(1, Math.ceil(answer.until - Date.now()))));
    },

    release(key: string, token: string): void {
      guard.tell((redis) => redis.eval(releaseScript, 1, lockOf(key), token));
    },
  };
}

export type ResultCache = ReturnType<typeof createResultCache>;
