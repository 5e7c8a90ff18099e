import {
  FlowstateError,
  invalidInput,
  metadataName,
  storableErrors,
  type FieldError,
  type SearchAnswer,
  type SearchCacheCounts,
  type SearchHit,
  type SemanticBody,
} from '@flowstate/contracts';
import type { Embedder } from '@flowstate/models';
import { findCollections, matchDocuments, type Collection, type Sql } from '@flowstate/store';
import type { Redis } from 'ioredis';
import { createAnswers } from './answers.ts';
import { createCacheGuard } from './cache-guard.ts';
import { cacheKey } from './cache-key.ts';
import { createCacheTally, type CacheObserver } from './cache-tally.ts';
import { checkDimensions, readAsked, type Asked } from './given-embedding.ts';
import { createLocalAnswers } from './local-answers.ts';
import { createQueryEmbeddings } from './query-embeddings.ts';
import { createResultCache } from './result-cache.ts';
import { createSharedReads } from './shared-reads.ts';

/** Where measurements go; all in seconds. */
export type SearchObserver = CacheObserver & {
  searched(labels: { kind: 'semantic'; cache: 'hit' | 'miss' }, seconds: number): void;
  matched(seconds: number): void;
};

/** Who asks. */
export type SearchScope = {
  /** Askers with equal values may see the same documents: cached answers are shared among them only. */
  access: string;
  /** All they may see; without it every collection. Others do not exist for them. */
  collections?: readonly string[];
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
   * Documents nearest in meaning to the query, or to an embedding given in its place, nearest first; without a collection, from all that the model embedded.
   * Throws `invalid_input`, `not_found` (unknown collection), `conflict` (it was embedded by another model), and
   * `unavailable` or `timeout` when the query's embedding cannot be had.
   */
  semantic(body: SemanticBody, scope: SearchScope): Promise<SearchAnswer>;
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
  const versions = createSharedReads<Collection[]>();

  /** What is searched, and its versions: read first, so that an answer is never older than its cache key says. */
  async function searchable(name: string | undefined, visible: readonly string[] | undefined): Promise<Collection[]> {
    const asked = name === undefined ? visible : [name].filter((own) => visible?.includes(own) ?? true);
    const found = await versions.of(JSON.stringify(asked ?? null), () => findCollections(sql, asked));
    if (name === undefined) return found.filter((collection) => collection.model === embedder.model);
    const [collection] = found;
    if (collection === undefined) {
      throw new FlowstateError('not_found', `There is no collection ${name}`, {
        errors: [{ field: 'collection', message: 'does not exist' }],
      });
    }
    if (collection.model === null) return []; // nothing embedded yet
    if (collection.model !== embedder.model) throw otherModel(collection, embedder.model);
    return [collection];
  }

  async function match(
    body: Required<Omit<SemanticBody, 'collection' | 'query' | 'embedding'>>,
    asked: Asked,
    collections: Collection[],
  ): Promise<SearchHit[]> {
    const embedding = asked.embedding ?? (await queryEmbeddings.of(asked.query));
    const other = collections.find((collection) => collection.dimensions !== embedding.length);
    if (other !== undefined) throw otherModel(other, `${embedder.model} (${embedding.length} dimensions)`);
    const { threshold, limit, filter } = body;
    const begun = performance.now();
    const names = collections.map((collection) => collection.name);
    const hits = await matchDocuments(sql, { embedding, threshold, limit, filter, collections: names });
    observe?.matched(secondsSince(begun));
    return hits;
  }

  return {
    async semantic({ query, embedding, collection, filter = {}, threshold = 0.25, limit = 10 }, scope) {
      const begun = performance.now();
      const { asked, errors } = readAsked({ query, embedding });
      refuse([...errors, ...filterErrors(filter)]);
      const collections = await searchable(collection, scope.collections);
      checkDimensions(asked, collections[0]?.dimensions ?? embedder.dimensions);
      if (collections.length === 0) return { items: [], cache: 'miss', model: embedder.model };
      const body = { filter, threshold, limit };
      const key = cacheKey({
        kind: 'semantic',
        query: asked.query,
        ...body,
        model: embedder.model,
        access: scope.access,
        collections,
      });
      const { items, cache } = await answers.of(key, () => match(body, asked, collections));
      observe?.searched({ kind: 'semantic', cache }, secondsSince(begun));
      return { items, cache, model: embedder.model };
    },
    cacheStats: () => ({ ...tally.counts(), here: local.size() }),
  };
}

/** A filter is compared as it stands; something that looks like an operator would silently find nothing. */
export function filterErrors(filter: Record<string, unknown>): FieldError[] {
  const unknown = Object.keys(filter).filter((key) => !key.startsWith('$') && !metadataName.test(key));
  return [
    ...operatorsOf(filter, 'filter').map((field) => ({ field, message: 'is an operator that is not known here' })),
    ...unknown.map((key) => ({ field: `filter.${key}`, message: 'is no name that metadata can have' })),
    ...storableErrors(filter, 'filter'),
  ];
}

/** At every depth that can be stored; deeper ones are refused anyway. */
function operatorsOf(value: unknown, path: string, depth = 0): string[] {
  if (typeof value !== 'object' || value === null || depth > 32) return [];
  return Object.entries(value).flatMap(([key, part]) => [
    ...(key.startsWith('$') ? [`${path}.${key}`] : []),
    ...operatorsOf(part, `${path}.${key}`, depth + 1),
  ]);
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
