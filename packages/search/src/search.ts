import {
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
import { matchDocuments, type Collection, type Sql } from '@flowstate/store';
import type { Redis } from 'ioredis';
import { createAnswers } from './answers.ts';
import { createCacheGuard } from './cache-guard.ts';
import { cacheKey, normaliseQuery } from './cache-key.ts';
import { createCacheTally, type CacheObserver } from './cache-tally.ts';
import { createLocalAnswers } from './local-answers.ts';
import { createQueryEmbeddings } from './query-embeddings.ts';
import { createResultCache } from './result-cache.ts';
import { chooseScope, inPresentScope, otherModel, type SearchScope } from './search-scope.ts';

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
  /** Of collections without embeddings, and of most others. */
  embedder: Embedder;
  /** Collections embedded by one of these are asked by it. */
  otherEmbedders?: readonly Embedder[];
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
   * Documents nearest in meaning to the query, nearest first; without a collection, from all that the viewer sees.
   * Throws `invalid_input`, `not_found` (unknown collection), `conflict` (embedded by a model not known here), and
   * `unavailable` or `timeout` when the query's embedding cannot be had.
   */
  semantic(body: SearchBody, viewer: Viewer): Promise<SearchAnswer>;
  /** Models whose queries are embedded here. */
  readonly models: readonly string[];
  /** What the cache did in this process since it began. */
  cacheStats(): SearchCacheCounts & { here: { entries: number; bytes: number } };
};

export function createSearch({
  sql,
  cache,
  embedder,
  otherEmbedders = [],
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
  const answers = createAnswers({ cache: results, local, tally, emptyTtlSeconds, leaseMs });
  const queryEmbeddings = new Map(
    [embedder, ...otherEmbedders].map((each) => [each.model, createQueryEmbeddings({ embedder: each, guard, tally })]),
  );
  const models = { known: new Set(queryEmbeddings.keys()), first: embedder.model };

  async function match(
    body: Required<Omit<SearchBody, 'collection'>>,
    { model, collections }: SearchScope,
    viewer: Viewer,
  ): Promise<SearchHit[]> {
    const embedding = (await queryEmbeddings.get(model)?.of(body.query)) ?? [];
    const other = collections.find((collection) => collection.dimensions !== embedding.length);
    if (other !== undefined) throw otherModel(other, `${model} (${embedding.length} dimensions)`);
    const { threshold, limit, filter } = body;
    const begun = performance.now();
    const names = collections.map((collection) => collection.name);
    const wanted = { threshold, limit, filter, collections: names };
    const hits = await matchDocuments(sql, { embedding, ...wanted, viewer, model });
    observe?.matched(secondsSince(begun));
    return hits;
  }

  async function ask(
    body: Required<Omit<SearchBody, 'collection'>>,
    collection: string | undefined,
    viewer: Viewer,
  ): Promise<SearchAnswer> {
    const scope = await chooseScope(sql, models, collection, viewer);
    const { model, collections } = scope;
    if (collections.length === 0) return { items: [], cache: 'miss', model };
    const key = cacheKey({ kind: 'semantic', ...body, model, collections });
    const { items, cache } = await answers.of(key, () => match(body, scope, viewer), ttlOf(collections));
    return { items, cache, model };
  }

  /** The shortest that one of them asks for, and never longer than is configured. */
  function ttlOf(collections: Collection[]): number {
    return Math.min(ttlSeconds, ...collections.map((collection) => collection.cacheTtlSeconds ?? ttlSeconds));
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
    models: [...models.known],
    cacheStats: () => ({ ...tally.counts(), here: local.size() }),
  };
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

function secondsSince(begun: number): number {
  return (performance.now() - begun) / 1000;
}
