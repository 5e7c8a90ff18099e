import { LRUCache } from 'lru-cache';
import { hitsBytes } from './answer-bytes.ts';
import type { StoredAnswer } from './stored-answer.ts';

type Options = {
  /** Bytes, as estimated, that answers take at most; 0: none are kept. */
  maxBytes: number;
  /** One had to go for others. */
  onEvicted(): void;
  /** Bytes kept by now. */
  onHeld(bytes: number): void;
};

/** Answers in this process, the least recently used first out. Their keys change with their collections. */
export function createLocalAnswers({ maxBytes, onEvicted, onHeld }: Options) {
  const answers =
    maxBytes === 0
      ? null
      : new LRUCache<string, StoredAnswer>({
          maxSize: maxBytes,
          dispose: (_answer, _key, reason) => {
            if (reason === 'evict') onEvicted();
          },
        });

  return {
    get: (key: string): StoredAnswer | null => answers?.get(key) ?? null,
    set(key: string, answer: StoredAnswer): void {
      const ttl = Math.floor(answer.until - Date.now());
      if (answers === null || ttl <= 0) return;
      // Hits are kept twice: as they are and as bytes to send.
      answers.set(key, answer, { ttl, size: 2 * (hitsBytes(answer.hits).length + key.length) });
      onHeld(answers.calculatedSize);
    },
    size: () => ({ entries: answers?.size ?? 0, bytes: answers?.calculatedSize ?? 0 }),
  };
}

export type LocalAnswers = ReturnType<typeof createLocalAnswers>;
