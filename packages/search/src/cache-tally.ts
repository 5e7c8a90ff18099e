import type { SearchCacheCounts } from '@flowstate/contracts';

export type CacheResult = keyof SearchCacheCounts['requests'];
export type EmbeddingResult = keyof SearchCacheCounts['embeddings'];

/** Where what the cache does is told as it happens. */
export type CacheObserver = {
  /** `waited`: another process computed it meanwhile. */
  cacheAsked(labels: { result: CacheResult }): void;
  /** A cached answer of that age, in seconds, was given. */
  cachedAge(seconds: number): void;
  /** It was in this process. */
  foundHere(): void;
  /** One in this process had to go for others. */
  evictedHere(): void;
  /** Bytes of answers kept in this process by now. */
  heldHere(bytes: number): void;
  /** Bytes of answers read from Redis or written there. */
  cacheMoved(labels: { direction: 'read' | 'written' }, bytes: number): void;
  embeddingAsked(labels: { result: EmbeddingResult }): void;
};

export type CacheTally = ReturnType<typeof createCacheTally>;

/** Counts since the process began, each also told to the observer. */
export function createCacheTally(observe: CacheObserver | undefined) {
  const counts: SearchCacheCounts = {
    requests: { hit: 0, stale: 0, waited: 0, miss: 0, unavailable: 0 },
    embeddings: { hit: 0, miss: 0, unavailable: 0 },
    hitsHere: 0,
    evictedHere: 0,
    bytesRead: 0,
    bytesWritten: 0,
  };
  return {
    counts: (): SearchCacheCounts => structuredClone(counts),
    asked(result: CacheResult): void {
      counts.requests[result] += 1;
      observe?.cacheAsked({ result });
    },
    aged: (seconds: number): void => observe?.cachedAge(seconds),
    heldHere: (bytes: number): void => observe?.heldHere(bytes),
    foundHere(): void {
      counts.hitsHere += 1;
      observe?.foundHere();
    },
    evictedHere(): void {
      counts.evictedHere += 1;
      observe?.evictedHere();
    },
    moved(direction: 'read' | 'written', bytes: number): void {
      counts[direction === 'read' ? 'bytesRead' : 'bytesWritten'] += bytes;
      observe?.cacheMoved({ direction }, bytes);
    },
    embeddingAsked(result: EmbeddingResult): void {
      counts.embeddings[result] += 1;
      observe?.embeddingAsked({ result });
    },
  };
}
