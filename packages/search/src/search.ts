import {
  FlowstateError,
  invalidInput,
  storableErrors,
  type FieldError,
  type SearchAnswer,
  type SearchBody,
  type SearchCacheCounts,
  type SearchHit,
  type Viewer,
} from '@flowstate/contracts';
import type { Embedder } from '@flowstate/models';
import {
  findCollections,
  isOutdatedScope,
  matchDocuments,
  noCollection,
  type Collection,
  type Sql,
} from '@flowstate/store';
import type { Redis } from 'ioredis';
import { createAnswers } from './answers.ts';
import { createCacheGuard } from './cache-guard.ts';
import { cacheKey, normaliseQuery } from './cache-key.ts';
import { createCacheTally, type CacheObserver } from './cache-tally.ts';
import { createLocalAnswers } from './local-answers.ts';
import { createQueryEmbeddings } from './query-embeddings.ts';
import { createResultCache } from './result-cache.ts';

/** Where measurements go; all in seconds. */
export type SearchObserver = CacheObserver & {
  searched(labels: { kind: 'semantic'; cache: 'hit' | 'miss' }, seconds: number): void;
  matched(seconds: number): void;
};

export type SearchOptions = {
  /** Not a `ledger` pool: that one forbids plans this needs. */
  sql: Sql;
  /** Its commands should fail at once while it is away. */
  cache: Redis;
  embedder: Embedder;
  observe?: SearchObserver;
  /** Seconds a cached answer lives at most (default 600); a write to its collection ends it at once. */
  ttlSeconds?: number;
  /** The same for answers without documents (default 30). */
  emptyTtlSeconds?: number;
  /** Milliseconds the cache may take before a search goes on without it (default 50). */
  cacheTimeoutMs?: number;
  /** Bytes of answers kept in this process (default 16 MiB); 0: none. */
  localBytes?: number;
  /** Milliseconds another process' computation of the same answer is waited for (default 1000). */
  leaseMs?: number;
};

export type Search = {
  /**
   * Documents nearest in meaning to the query, nearest first; without a collection, from all that the viewer sees and
   * the model embedded.
   * Throws `invalid_input`, `not_found` (unknown collection), `conflict` (it was embedded by another model), and
   * `unavailable` or `timeout` when the query's embedding cannot be had.
   */
  semantic(body: SearchBody, viewer: Viewer): Promise<SearchAnswer>;
  /** What the cache did in this process since it began. */
  cacheStats(): SearchCacheCounts & { here: { entries: number; bytes: number } };
};

export function createSearch({
  sql,
  cache,
  embedder,
  observe,
  ttlSeconds = 600,
  emptyTtlSeconds = 30,
  cacheTimeoutMs = 50,
  localBytes = 16 * 1024 * 1024,
  leaseMs = 1_000,
}: SearchOptions): Search {
  const tally = createCacheTally(observe);
  const guard = createCacheGuard(cache, cacheTimeoutMs);
  const local = createLocalAnswers({
    maxBytes: localBytes,
    onEvicted: tally.evictedHere,
    onHeld: tally.heldHere,
  });
  const results = createResultCache({ guard, leaseMs, moved: tally.moved });
  const answers = createAnswers({ cache: results, local, tally, ttlSeconds, emptyTtlSeconds, leaseMs });
  const queryEmbeddings = createQueryEmbeddings({ embedder, guard, tally });

  /** What is searched, and its versions: read first, so that an answer is never older than its cache key says. */
  async function searchable(name: string | undefined, viewer: Viewer): Promise<Collection[]> {
    const found = await findCollections(sql, name === undefined ? undefined : [name], viewer);
    if (name === undefined) return found.filter((collection) => collection.model === embedder.model);
    const [collection] = found;
    if (collection === undefined) throw noCollection(name);
    if (collection.model === null) return []; // nothing embedded yet
    if (collection.model !== embedder.model) throw otherModel(collection, embedder.model);
    return [collection];
  }

  async function match(
    body: Required<Omit<SearchBody, 'collection'>>,
    collections: Collection[],
    viewer: Viewer,
  ): Promise<SearchHit[]> {
    const embedding = await queryEmbeddings.of(body.query);
    const other = collections.find((collection) => collection.dimensions !== embedding.length);
    if (other !== undefined) throw otherModel(other, `${embedder.model} (${embedding.length} dimensions)`);
    const { threshold, limit, filter } = body;
    const begun = performance.now();
    const names = collections.map((collection) => collection.name);
    const wanted = { threshold, limit, filter, collections: names };
    const hits = await matchDocuments(sql, { embedding, ...wanted, viewer, model: embedder.model });
    observe?.matched(secondsSince(begun));
    return hits;
  }

  async function ask(
    body: Required<Omit<SearchBody, 'collection'>>,
    collection: string | undefined,
    viewer: Viewer,
  ): Promise<SearchAnswer> {
    const collections = await searchable(collection, viewer);
    if (collections.length === 0) return { items: [], cache: 'miss', model: embedder.model };
    const key = cacheKey({ kind: 'semantic', ...body, model: embedder.model, collections });
    const { items, cache } = await answers.of(key, () => match(body, collections, viewer));
    return { items, cache, model: embedder.model };
  }

  return {
    async semantic({ query: asked, collection, filter = {}, threshold = 0.25, limit = 10 }, viewer) {
      const begun = performance.now();
      const query = normaliseQuery(asked);
      refuse([...(query === '' ? [{ field: 'query', message: 'is empty' }] : []), ...filterErrors(filter)]);
      const body = { query, filter, threshold, limit };
      const answer = await inPresentScope(() => ask(body, collection, viewer));
      observe?.searched({ kind: 'semantic', cache: answer.cache }, secondsSince(begun));
      return answer;
    },
    cacheStats: () => ({ ...tally.counts(), here: local.size() }),
  };
}

/** Access or models may change between what was chosen and the query: then it is chosen again. */
async function inPresentScope<T>(ask: () => Promise<T>): Promise<T> {
  for (let left = 5; ; left -= 1) {
    try {
      return await ask();
    } catch (error) {
      if (!isOutdatedScope(error)) throw error;
      if (left === 0) throw new FlowstateError('unavailable', 'The collections keep changing', { cause: error });
    }
  }
}

/** A filter is compared as it stands; something that looks like an operator would silently find nothing. */
export function filterErrors(filter: Record<string, unknown>): FieldError[] {
  const operators = Object.keys(filter).filter((key) => key.startsWith('$'));
  return [
    ...operators.map((key) => ({ field: `filter.${key}`, message: 'is an operator that is not known here' })),
    ...storableErrors(filter, 'filter'),
  ];
}

function refuse(errors: FieldError[]): void {
  if (errors.length > 0) throw invalidInput(errors);
}

function otherModel({ name, model, dimensions }: Collection, ours: string): FlowstateError {
  const theirs = `${model} (${dimensions} dimensions)`;
  return new FlowstateError('conflict', `Collection ${name} was embedded by ${theirs}, queries are by ${ours}`);
}

function secondsSince(begun: number): number {
  return (performance.now() - begun) / 1000;
}
