import { createHash } from 'node:crypto';
import { FlowstateError } from '@flowstate/contracts';
import type { Embedder } from '@flowstate/models';
import { LRUCache } from 'lru-cache';
import type { CacheGuard } from './cache-guard.ts';
import type { CacheTally } from './cache-tally.ts';

const maxEntries = 1_000;
/** Less than a request has: who asked is told what was waited for, and asks an endpoint left alone no more. */
const longestMs = 8_000;
/** They depend on model and text alone; a day bounds what a model exchanged under the same name can do. */
const ttlSeconds = 24 * 3600;

type Options = {
  embedder: Embedder;
  guard: CacheGuard;
  tally: CacheTally;
  /** Milliseconds that one embedding may take (default 8,000). */
  timeoutMs?: number | undefined;
};

/** Embeddings of recent queries, in this process and in Redis; the same query is computed once at a time here. */
export function createQueryEmbeddings({ embedder, guard, tally, timeoutMs = longestMs }: Options) {
  const recent = new LRUCache<string, Promise<readonly number[]>>({ max: maxEntries });

  async function compute(query: string): Promise<readonly number[]> {
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      const [embedding] = await embedder.embed([query], timeout);
      if (embedding === undefined) throw new Error('an embedder answered nothing');
      return embedding;
    } catch (error) {
      if (timeout.aborted) throw new FlowstateError('timeout', `No embedding of the query within ${timeoutMs} ms`);
      // It is us who are limited there, not the caller here.
      if (error instanceof FlowstateError && error.code === 'rate_limited') {
        const hint = error.retryAfter === undefined ? {} : { retryAfter: error.retryAfter };
        throw new FlowstateError('unavailable', error.message, { cause: error, ...hint });
      }
      throw error;
    }
  }

  async function find(query: string, generation: number): Promise<readonly number[]> {
    const key = keyOf(embedder.model, generation, query);
    const found = await guard.ask((redis) => redis.getBuffer(key));
    const known = found?.value ? decode(found.value) : null;
    tally.embeddingAsked(found === null ? 'unavailable' : known === null ? 'miss' : 'hit');
    if (known !== null) return known;
    const embedding = await compute(query);
    guard.tell((redis) => redis.set(key, encode(embedding), 'EX', ttlSeconds));
    return embedding;
  }

  return {
    /** Of a generation (`Collection.queryGeneration`): none of an earlier one is given. */
    of(query: string, generation: number): Promise<readonly number[]> {
      const key = `${generation} ${query}`;
      const known = recent.get(key);
      if (known !== undefined) {
        tally.embeddingAsked('hit');
        return known;
      }
      const embedding = find(query, generation);
      recent.set(key, embedding);
      embedding.catch(() => {
        if (recent.peek(key) === embedding) recent.delete(key);
      });
      return embedding;
    },
  };
}

function keyOf(model: string, generation: number, query: string): string {
  const hash = createHash('sha256').update(JSON.stringify([model, generation, query]));
  return `vector-search:embedding:${hash.digest('base64url')}`;
}

/** Single precision is all that pgvector reads. */
function encode(embedding: readonly number[]): Buffer {
  return Buffer.from(new Float32Array(embedding).buffer);
}

/** Null for whatever `encode` has not written. */
function decode(bytes: Buffer): readonly number[] | null {
  if (bytes.length === 0 || bytes.length % 4 !== 0) return null;
  const values = Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(i * 4));
  return values.every(Number.isFinite) ? values : null;
}
