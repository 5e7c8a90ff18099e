import { FlowstateError } from '@flowstate/contracts';
import type { Embedder } from '@flowstate/models';

const maxEntries = 1_000;
const timeoutMs = 10_000;

/** Embeddings of recent queries, least recently used first out; the same query is computed once at a time. */
export function createQueryEmbeddings(embedder: Embedder) {
  const recent = new Map<string, Promise<readonly number[]>>();

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

  return {
    of(query: string): Promise<readonly number[]> {
      const embedding = recent.get(query) ?? compute(query);
      recent.delete(query);
      recent.set(query, embedding);
      embedding.catch(() => {
        if (recent.get(query) === embedding) recent.delete(query);
      });
      const oldest = recent.keys().next();
      if (recent.size > maxEntries && !oldest.done) recent.delete(oldest.value);
      return embedding;
    },
  };
}
