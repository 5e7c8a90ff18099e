import { normalizeIP } from '@fastify/rate-limit';
import { FlowstateError } from '@flowstate/contracts';
import type { Redis } from 'ioredis';
import type { Flags } from './flags.ts';

export type RequestRates = {
  /** Counts one more request of a principal. Throws `rate_limited` beyond its share of this minute. */
  countPrincipal(id: string): void;
  /** Counts one more request that nobody answers for. */
  countAddress(address: string): void;
  /** Throws `rate_limited` for an address that has used up its share of this minute. */
  checkAddress(address: string): void;
  /** Tells the others what was counted here, and learns what they counted. Resolves when Redis is away, too. */
  sync(): Promise<void>;
  close(): void;
};

type Count = { key: string; own: number; untold: number; others: number };

const windowMs = 60_000;
const everyMs = 500;
const maxRemembered = 50_000;

/**
 * Requests a minute, counted here and told to Redis in one write every half second: no request waits for it. All
 * gateways together may exceed a limit by what they let in within that time; without Redis each counts for itself.
 */
export function createRequestRates({
  redis,
  flags,
  now = Date.now,
}: {
  redis: Redis;
  flags: Flags;
  /** Milliseconds of the clock that minutes are counted by. */
  now?: () => number;
}): RequestRates {
  let window = 0;
  const counts = new Map<string, Count>();
  let untold = new Set<Count>();

  function countOf(key: string): Count {
    const current = Math.floor(now() / windowMs);
    if (current !== window) {
      window = current;
      counts.clear();
      untold.clear();
    }
    let count = counts.get(key);
    if (count === undefined) {
      count = { key, own: 0, untold: 0, others: 0 };
      counts.set(key, count);
      if (counts.size > maxRemembered) counts.delete(counts.keys().next().value as string);
    }
    return count;
  }

  function add(key: string): number {
    const count = countOf(key);
    count.own += 1;
    count.untold += 1;
    untold.add(count);
    return count.own + count.others;
  }

  function refuse(whose: string): never {
    const retryAfter = Math.max(1, Math.ceil(((window + 1) * windowMs - now()) / 1000));
    throw new FlowstateError('rate_limited', `Too many requests ${whose} this minute`, { retryAfter });
  }

  async function tell(): Promise<void> {
    const batch = [...untold].map((count) => ({ count, n: count.untold }));
    if (batch.length === 0) return;
    untold = new Set();
    const of = window;
    // The client makes one round trip of them, of each server where there are several.
    const answers = await Promise.allSettled(
      batch.map(async ({ count, n }) => {
        count.untold -= n;
        const key = `flowstate:rate:${of}:${count.key}`;
        const [total] = await Promise.all([redis.incrby(key, n), redis.pexpire(key, 2 * windowMs)]);
        return total;
      }),
    );
    for (const [i, { count, n }] of batch.entries()) {
      const answer = answers[i];
      if (answer?.status === 'fulfilled') {
        count.others = Math.max(0, answer.value - (count.own - count.untold));
      } else if (of === window) {
        count.untold += n; // told the next time
        untold.add(count);
      }
    }
  }

  let telling: Promise<void> | undefined;
  /** Joins what is under way. */
  function sync(): Promise<void> {
    telling ??= tell().finally(() => (telling = undefined));
    return telling;
  }
  const timer = setInterval(() => void sync(), everyMs).unref();

  const addressKey = (address: string) => `address:${normalizeIP(address)}`;
  return {
    countPrincipal(id) {
      if (add(`principal:${id}`) > flags.limit('rate.principal')) refuse('of this principal');
    },
    countAddress: (address) => void add(addressKey(address)),
    checkAddress(address) {
      const { own, others } = countOf(addressKey(address));
      if (own + others > flags.limit('rate.address')) refuse('from this address');
    },
    async sync() {
      // What is under way may have begun before the last request was counted.
      await telling;
      await sync();
    },
    close: () => clearInterval(timer),
  };
}
