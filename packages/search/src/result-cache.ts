import { randomUUID } from 'node:crypto';
import type { CacheGuard } from './cache-guard.ts';
import { decodeAnswer, encodeAnswer, type StoredAnswer } from './stored-answer.ts';

type Options = {
  guard: CacheGuard;
  /** Milliseconds after which a lock ends by itself, unless it is renewed. */
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
const renewScript =
  "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0";
/** Both at once: whoever waits for the lock finds the answer. */
const putScript = "redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3]) " + releaseScript;
/** The answer, or the lock for who has to compute it (1) or must wait for another (0), in one round trip. */
const findScript =
  "local known = redis.call('GET', KEYS[1]) if known then return known end " +
  "if redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2], 'NX') then return 1 end return 0";
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

  function release(key: string, token: string): void {
    guard.tell((redis) => redis.eval(releaseScript, 1, lockOf(key), token));
  }

  return {
    /** The answer if there is one; only else the lock, if that is free. */
    async find(key: string): Promise<Claim | undefined> {
      const token = randomUUID();
      const found = await guard.ask((redis) =>
        redis.callBuffer('EVAL', findScript, 2, key, lockOf(key), token, leaseMs),
      );
      if (found === null) return undefined;
      if (!Buffer.isBuffer(found.value)) return { answer: null, token: found.value === 1 ? token : null };
      const answer = read(found.value);
      // What cannot be read is computed anew, by whoever finds it: nothing waits for a lock that nobody took.
      return answer === null ? await this.claim(key) : { answer, token: null };
    },

    /** Takes the lock, if it is free, and looks too, whatever is known already. */
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

    /** Ends the lock, too, if it is ours. */
    put(key: string, answer: StoredAnswer, token: string | null): void {
      const bytes = encodeAnswer(answer);
      if (bytes === null) return token === null ? undefined : release(key, token);
      moved('written', bytes.length);
      const ttl = Math.max(1, Math.ceil(answer.until - Date.now()));
      if (token === null) guard.tell((redis) => redis.set(key, bytes, 'PX', ttl));
      else guard.tell((redis) => redis.eval(putScript, 2, lockOf(key), key, token, bytes, ttl));
    },

    release,

    /** The lock's lease begins anew, if it is still ours. */
    renew(key: string, token: string): void {
      guard.tell((redis) => redis.eval(renewScript, 1, lockOf(key), token, leaseMs));
    },
  };
}

export type ResultCache = ReturnType<typeof createResultCache>;
