import { setTimeout as wait } from 'node:timers/promises';
import type { SearchHit } from '@flowstate/contracts';
import type { CacheTally } from './cache-tally.ts';
import type { LocalAnswers } from './local-answers.ts';
import type { Claim, ResultCache } from './result-cache.ts';
import { createSingleFlight } from './single-flight.ts';
import { dueForRefresh, type StoredAnswer } from './stored-answer.ts';

type Options = {
  cache: ResultCache;
  local: LocalAnswers;
  tally: CacheTally;
  emptyTtlSeconds: number;
  /** Milliseconds that the lock of a process lives which says no more that it computes. */
  leaseMs: number;
};

type Question = {
  compute: () => Promise<SearchHit[]>;
  /** Seconds its answer lives at most. */
  ttlSeconds: number;
};
export type Answer = { items: SearchHit[]; cache: 'hit' | 'miss' };

/** How often one who waits for another process looks: most computations take tens of milliseconds, some take seconds. */
const nextLook = (waitedMs: number) => Math.min(100, 10 + waitedMs / 10);
/** Longer than a computation may take (a query's embedding: eight seconds), and less than a request may. */
const longestWaitMs = 9_000;

/** Answers by key, from this process, from Redis, or computed: by one caller in one process, while the others wait. */
export function createAnswers({ cache, local, tally, emptyTtlSeconds, leaseMs }: Options) {
  const flights = createSingleFlight<Answer>();
  const refreshes = createSingleFlight<void>();

  /** Stores what is computed, and ends the lock either way: after a failure the next one may try. */
  async function computed(key: string, { compute, ttlSeconds }: Question, token: string | null): Promise<Answer> {
    const begun = performance.now();
    const renewal = token === null ? undefined : setInterval(() => cache.renew(key, token), leaseMs / 2);
    let hits: SearchHit[];
    try {
      hits = await compute();
    } catch (error) {
      if (token !== null) cache.release(key, token);
      throw error;
    } finally {
      clearInterval(renewal);
    }
    const at = Date.now();
    const ttl = hits.length === 0 ? Math.min(ttlSeconds, emptyTtlSeconds) : ttlSeconds;
    const answer: StoredAnswer = { hits, at, until: at + ttl * 1000, cost: performance.now() - begun };
    local.set(key, answer);
    cache.put(key, answer, token);
    return { items: hits, cache: 'miss' };
  }

  /** Nobody waits for it, and when it fails the cached answer still holds until it expires. */
  function refresh(key: string, known: StoredAnswer, question: Question): void {
    const renew = async () => {
      const claim = await cache.claim(key);
      if (claim === undefined || claim.token === null) return;
      if (claim.answer === null || claim.answer.at <= known.at) {
        await computed(key, question, claim.token);
      } else {
        cache.release(key, claim.token);
        local.set(key, claim.answer);
      }
    };
    refreshes.join(key, renew).catch(() => {});
  }

  function give(answer: StoredAnswer, result: 'hit' | 'stale' | 'waited'): Answer {
    tally.asked(result);
    tally.aged(Math.max(0, Date.now() - answer.at) / 1000);
    return { items: answer.hits, cache: 'hit' };
  }

  function giveKnown(key: string, known: StoredAnswer, question: Question): Answer {
    const stale = dueForRefresh(known, Date.now());
    if (stale) refresh(key, known, question);
    return give(known, stale ? 'stale' : 'hit');
  }

  async function find(key: string, question: Question): Promise<Answer> {
    const claim = await cache.find(key);
    const known = claim?.answer ?? null;
    if (known === null) return await claimed(key, question, claim);
    local.set(key, known);
    return giveKnown(key, known, question);
  }

  async function claimed(key: string, question: Question, first: Claim | undefined): Promise<Answer> {
    const begun = performance.now();
    const patienceMs = Math.max(leaseMs, longestWaitMs);
    for (let claim = first; ; claim = await cache.find(key)) {
      if (claim?.answer) {
        local.set(key, claim.answer);
        return give(claim.answer, 'waited');
      }
      const waitedMs = performance.now() - begun;
      if (claim === undefined || claim.token !== null || waitedMs >= patienceMs) {
        tally.asked(claim === undefined ? 'unavailable' : 'miss');
        return await computed(key, question, claim?.token ?? null);
      }
      await wait(nextLook(waitedMs));
    }
  }

  return {
    async of(key: string, compute: Question['compute'], ttlSeconds: number): Promise<Answer> {
      const question = { compute, ttlSeconds };
      const near = local.get(key);
      if (near === null) return await flights.join(key, () => find(key, question));
      tally.foundHere();
      return giveKnown(key, near, question);
    },
  };
}
