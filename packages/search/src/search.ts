import {
  defaultWeights,
  FlowstateError,
  invalidInput,
  storableErrors,
  type FieldError,
  type HybridSearchBody,
  type SearchAnswer,
  type SearchCacheCounts,
  type SearchCeilings,
  type SearchHit,
  type SemanticBody,
  type SearchKind,
  type SearchWeights,
  type SimilarQuery,
  type Viewer,
} from '@flowstate/contracts';
import type { Embedder } from '@flowstate/models';
import {
  findDocumentEmbedding,
  matchDocuments,
  matchHybrid,
  type Collection,
  type Db,
  type Match,
  type Sql,
} from '@flowstate/store';
import type { Redis } from 'ioredis';
import { createAnswers } from './answers.ts';
import { checkDimensions, readAsked } from './asked.ts';
import { createCacheGuard } from './cache-guard.ts';
import { cacheKey, documentQuery } from './cache-key.ts';
import { createCacheTally, type CacheObserver } from './cache-tally.ts';
import { clamp } from './ceilings.ts';
import { filterErrors } from './filter.ts';
import { askEach, fuseParts, type Part } from './fuse-models.ts';
import { createKnownModels } from './known-models.ts';
import { createLocalAnswers } from './local-answers.ts';
import { createReplicaReads, type ReadFrom, type Reads } from './replica-reads.ts';
import type { RecallSampler } from './recall-sampler.ts';
import { createResultCache } from './result-cache.ts';
import type { ScopeEpoch } from './scope-epoch.ts';
import { createScopeReads } from './scope-reads.ts';
import { ambiguousModel, inPresentScope, ofDimensions, type Models, type SearchScope } from './search-scope.ts';
import { createSlowCalls, type SlowSearch } from './slow-calls.ts';
import { createStopwatch, unwatched, type Stopwatch } from './stopwatch.ts';

/** Where measurements go; all in seconds. */
export type SearchObserver = CacheObserver & {
  searched(labels: { kind: SearchKind; cache: 'hit' | 'miss' }, seconds: number): void;
  matched(seconds: number): void;
  /** Only where there is a replica. */
  readFrom?(from: ReadFrom): void;
};

export type SearchOptions = {
  /** Not a `ledger` pool: that one forbids plans this needs. */
  sql: Sql;
  /** A read replica of it that answers in its place whenever it has what the primary has. */
  replica?: Sql | undefined;
  /** Its commands should fail at once while it is away. */
  cache: Redis;
  /** Of collections without embeddings, and of most others. */
  embedder: Embedder;
  /** Collections embedded by one of these are asked by it. */
  otherEmbedders?: readonly Embedder[];
  /** Told of every change of what may be searched; without it Postgres is asked at each search. */
  epoch?: Pick<ScopeEpoch, 'read'>;
  observe?: SearchObserver;
  /** Compares a sample of what the index answers with exact scans. */
  recall?: Pick<RecallSampler, 'offer'>;
  /** Seconds a cached answer lives at most (default 600); a write to its collection ends it at once. */
  ttlSeconds?: number;
  /** The same for answers without documents (default 30). */
  emptyTtlSeconds?: number;
  /** Milliseconds the cache may take before a search goes on without it (default 50). */
  cacheTimeoutMs?: number;
  /** Bytes of answers kept in this process (default 16 MiB); 0: none. */
  localBytes?: number;
  /** Milliseconds by which a process that dies while it computes holds up others that want the same (default 1000). */
  leaseMs?: number;
  /** Milliseconds in Postgres from which a search is told to `onSlow` (default 500). */
  slowMs?: number;
  onSlow?(call: SlowSearch): void;
};

/** What the kinds of search share; defaults are filled in. */
type Asked = {
  threshold?: number;
  limit?: number;
  exact?: boolean;
  explain?: boolean;
  filter?: Record<string, unknown>;
};

/** How a search is asked for. */
export type Asking = {
  ceilings?: SearchCeilings | undefined;
  /** The scope epoch (`ScopeEpoch`), where it was asked for already, while the asker was proved. */
  epoch?: Promise<string | undefined> | undefined;
};
export type SimilarSearch = Omit<SimilarQuery, 'filter'> & Pick<Asked, 'filter'>;

/** One search, ready to be answered. */
type Question = {
  kind: SearchKind;
  /** The normalised query, or what stands for it. */
  query: string;
  weights?: SearchWeights;
  /** Whose embeddings can be compared with it. */
  models: Models;
  /** The only collection to search. */
  within: string | undefined;
  /** null: the query's is to be computed. */
  embedding: ArrayLike<number> | null;
  find(db: Db, match: Match): Promise<SearchHit[]>;
};

export type Search = {
  /**
   * Documents nearest in meaning to the query, or to an embedding given in its place, nearest first; without a
   * collection or model, from all that the viewer sees, of several models fused by rank. An operator's ceilings lower
   * what was asked, and the answer says so. Throws `invalid_input`, `not_found` (unknown collection), `conflict`
   * (embedded by a model not known here), and `unavailable` or `timeout` when the query's embedding cannot be had.
   */
  semantic(body: SemanticBody, viewer: Viewer, asking?: Asking): Promise<SearchAnswer>;
  /** The same by meaning and shared words together, best first: weighted reciprocal rank fusion. */
  hybrid(body: HybridSearchBody, viewer: Viewer, asking?: Asking): Promise<SearchAnswer>;
  /**
   * Documents nearest in meaning to one that is there, without itself, by our id or its external id. Throws `not_found`
   * also for one that the viewer does not see, and `conflict` while it has no embedding or when several collections know
   * the external id.
   */
  similar(documentId: string, query: SimilarSearch, viewer: Viewer, asking?: Asking): Promise<SearchAnswer>;
  /** Models whose queries are embedded here. */
  readonly models: readonly string[];
  /** Of one of them, null for others. Throws what its embedder throws when it has to be asked. */
  dimensionsOf(model: string): Promise<number | null>;
  /** What the cache did in this process since it began. */
  cacheStats(): SearchCacheCounts & { here: { entries: number; bytes: number } };
};

export function createSearch({
  sql,
  replica,
  cache,
  embedder,
  otherEmbedders = [],
  epoch: epochs,
  observe,
  recall,
  ttlSeconds = 600,
  emptyTtlSeconds = 30,
  cacheTimeoutMs = 50,
  localBytes = 16 * 1024 * 1024,
  leaseMs = 1_000,
  slowMs = 500,
  onSlow = () => {},
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
  const models = createKnownModels([embedder, ...otherEmbedders], { guard, tally });
  const scopeReads = createScopeReads(sql);
  const reads: Reads =
    replica === undefined
      ? (_collections, read) => read(sql)
      : createReplicaReads({ primary: sql, replica, onRead: (from) => observe?.readFrom?.(from) });
  const slowCalls = createSlowCalls({ sql, slowMs, onSlow });

  async function compute(
    { kind, query, embedding: given, find }: Question,
    match: Omit<Match, 'embedding' | 'collections'>,
    scope: SearchScope,
    watch: Stopwatch,
  ): Promise<SearchHit[]> {
    const { model } = scope;
    const embedding = given ?? (await watch.time('embed', async () => models.embed(scope, query))) ?? [];
    const collections = ofDimensions(scope, embedding.length);
    const call = { ...match, embedding, model, collections: collections.map(({ name }) => name) };
    const begun = performance.now();
    const hits = await watch.time('sql', () => reads(collections, (db) => find(db, call)));
    const ms = performance.now() - begun;
    observe?.matched(ms / 1000);
    slowCalls.note(kind, call, ms);
    // Exact answers, shared words and the document asked about itself have nothing to do with the index.
    if (kind === 'semantic' && call.exact !== true) recall?.offer(call, collections, hits);
    return hits;
  }

  /** Every kind of search comes through here: one cache, one measure, one ceiling. */
  async function answer(
    { threshold = 0.25, limit = 10, exact = false, explain = false, filter = {} }: Asked,
    { viewer, ceilings, epoch }: Asking & { viewer: Viewer },
    ask: (watch: Stopwatch) => Promise<Question>,
  ): Promise<SearchAnswer> {
    const begun = performance.now();
    const watch = explain ? createStopwatch() : unwatched;
    const { clamped, ...bounds } = clamp({ threshold, limit }, ceilings);
    const match = { ...bounds, filter, exact, viewer };
    const asked = epoch ?? epochs?.read();
    const answered = await inPresentScope(async (again) => {
      const question = await ask(watch);
      const { kind, query, weights, models: comparable, within, embedding } = question;
      const scopes = await watch.time('sql', async () =>
        scopeReads.of({ models: comparable, within, viewer }, again ? undefined : await asked),
      );
      const [scope, ...others] = scopes;
      if (embedding !== null && others.length > 0) throw ambiguousModel(scopes);
      if (embedding !== null && kind === 'semantic') {
        checkDimensions(embedding, scope, models.knownDimensions(scope.model));
      }
      const answerBy = async (searched: SearchScope): Promise<Part> => {
        const { model, collections, validity } = searched;
        if (collections.length === 0) return { model, items: [], cache: 'miss' };
        const key = cacheKey({ kind, query, weights, filter, ...bounds, exact, model, validity });
        const found = await watch.time('cache', () =>
          answers.of(key, () => compute(question, match, searched, watch), ttlOf(collections)),
        );
        return { model, ...found };
      };
      if (others.length === 0) return { kind, ...(await answerBy(scope)) };
      return { kind, ...fuseParts(kind, await askEach(scopes, answerBy), bounds.limit) };
    });
    const { kind, ...rest } = answered;
    const timings = watch.timings();
    observe?.searched({ kind, cache: rest.cache }, (performance.now() - begun) / 1000);
    return { ...rest, ...(clamped && { clamped }), ...(timings && { timings }) };
  }

  /** The shortest that one of them asks for, and never longer than is configured. */
  function ttlOf(collections: Collection[]): number {
    return Math.min(ttlSeconds, ...collections.map((collection) => collection.cacheTtlSeconds ?? ttlSeconds));
  }

  /** A question in words, or by an embedding. */
  function worded(body: SemanticBody): Pick<Question, 'query' | 'models' | 'within' | 'embedding'> {
    const { asked, errors } = readAsked(body, models);
    refuse([...errors, ...filterErrors(body.filter ?? {})]);
    return asked;
  }

  async function source(anyId: string, collection: string | undefined, viewer: Viewer) {
    // What cannot be stored cannot be there.
    const found =
      storableErrors(anyId, 'id').length > 0 ? null : await findDocumentEmbedding(sql, anyId, { collection, viewer });
    if (found === null) throw new FlowstateError('not_found', 'There is no such document');
    const { id, embedding, model } = found;
    if (embedding === null || model === null) {
      throw new FlowstateError('conflict', 'The document is not embedded yet: ask again when `embedded` says so');
    }
    return { id, embedding, model };
  }

  return {
    async semantic(body, viewer, asking) {
      const words = worded(body);
      const question: Question = { kind: 'semantic', ...words, find: matchDocuments };
      return await answer(body, { viewer, ...asking }, async () => question);
    },
    async hybrid(body, viewer, asking) {
      const words = worded(body);
      const weights = { ...defaultWeights, ...body.weights };
      refuse(weights.vector + weights.text > 0 ? [] : [{ field: 'weights', message: 'must not both be 0' }]);
      const find = (db: Db, match: Match) => matchHybrid(db, { ...match, text: words.query, weights });
      return await answer(body, { viewer, ...asking }, async () => ({ kind: 'hybrid', ...words, weights, find }));
    },
    async similar(documentId, { collection, within, ...asked }, viewer, asking) {
      refuse(filterErrors(asked.filter ?? {}));
      return await answer(asked, { viewer, ...asking }, async (watch) => {
        const { id, embedding, model } = await watch.time('sql', () => source(documentId, collection, viewer));
        return {
          kind: 'similar',
          query: documentQuery(id, embedding),
          models: { known: [model], first: model },
          within,
          embedding,
          async find(db, match) {
            const hits = await matchDocuments(db, { ...match, limit: match.limit + 1 });
            return hits.filter((hit) => hit.id !== id).slice(0, match.limit);
          },
        };
      });
    },
    models: models.known,
    dimensionsOf: models.dimensionsOf,
    cacheStats: () => ({ ...tally.counts(), here: local.size() }),
  };
}

function refuse(errors: FieldError[]): void {
  if (errors.length > 0) throw invalidInput(errors);
}
