import Type, { type Static } from 'typebox';
import { CollectionName } from './documents.ts';
import { Id, Nullable, OneOf } from './schema.ts';

export const searchKinds = ['semantic', 'hybrid', 'similar'] as const;
export type SearchKind = (typeof searchKinds)[number];

/**
 * What hybrid search makes of nearness in meaning and of shared words. Chosen by measurement on the sample knowledge
 * base (packages/search/README.md#why-these-defaults): equal weights are worse than no words at all.
 */
export const defaultWeights = { vector: 1, text: 0.4 };
export type SearchWeights = typeof defaultWeights;

/** Fields of every kind of search. */
const narrowing = {
  threshold: Type.Optional(
    Type.Number({ minimum: -1, maximum: 1, default: 0.25, description: 'Least cosine similarity' }),
  ),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 10 })),
  exact: Type.Optional(
    Type.Boolean({ default: false, description: 'Compare every embedding instead of using the index: slow, and sure' }),
  ),
  explain: Type.Optional(Type.Boolean({ default: false, description: 'Say what took how long' })),
};

export const SearchBody = Type.Object(
  {
    query: Type.String({ minLength: 1, maxLength: 8_000, pattern: '\\S' }),
    collection: Type.Optional(CollectionName),
    model: Type.Optional(
      Type.String({ minLength: 1, maxLength: 200, description: 'only in collections that it embedded' }),
    ),
    filter: Type.Optional(Type.Record(Type.String(), Type.Unknown(), { maxProperties: 20 })),
    ...narrowing,
  },
  { additionalProperties: false },
);
export type SearchBody = Static<typeof SearchBody>;

const weight = (normal: number) => Type.Optional(Type.Number({ minimum: 0, maximum: 1, default: normal }));

export const HybridSearchBody = Type.Object(
  {
    ...SearchBody.properties,
    weights: Type.Optional(
      Type.Object(
        { vector: weight(defaultWeights.vector), text: weight(defaultWeights.text) },
        { additionalProperties: false, description: 'of nearness in meaning and of shared words; not both 0' },
      ),
    ),
  },
  { additionalProperties: false },
);
export type HybridSearchBody = Static<typeof HybridSearchBody>;

export const SimilarQuery = Type.Object(
  {
    collection: Type.Optional(
      Type.Unsafe<string>({
        ...CollectionName,
        description: 'Where to look an external id up; needed if several know it',
      }),
    ),
    within: Type.Optional(Type.Unsafe<string>({ ...CollectionName, description: 'Answer from this collection only' })),
    filter: Type.Optional(
      Type.String({
        maxLength: 8_192,
        description: 'JSON: what is contained in the metadata of what is found',
        contentMediaType: 'application/json',
        contentSchema: Type.Object({}),
      }),
    ),
    ...narrowing,
  },
  { additionalProperties: false },
);
export type SimilarQuery = Static<typeof SimilarQuery>;

const Rank = Nullable(Type.Integer({ minimum: 1 }));

export const SearchHit = Type.Object({
  id: Id,
  externalId: Nullable(Type.String()),
  collection: Type.String(),
  title: Nullable(Type.String()),
  text: Type.String({ description: 'the part nearest to the query; short texts have only one' }),
  metadata: Type.Record(Type.String(), Type.Unknown()),
  similarity: Type.Number({ description: 'cosine similarity, -1 to 1' }),
  score: Type.Optional(
    Type.Number({ description: 'of hybrid search, and of answers by several models, which are ordered by it' }),
  ),
  model: Type.Optional(Type.String({ description: 'whose similarity it is, in an answer by several models' })),
  ranks: Type.Optional(
    Type.Object(
      { vector: Rank, text: Rank },
      { description: 'in each part of a hybrid search; null: that part has not found it' },
    ),
  ),
});
export type SearchHit = Static<typeof SearchHit>;

const Took = Nullable(Type.Number({ minimum: 0 }));

export const SearchTimings = Type.Object(
  {
    totalMs: Type.Number({ minimum: 0 }),
    embedMs: Nullable(Type.Number({ minimum: 0, description: 'Getting the embedding of the query' })),
    cacheMs: Nullable(Type.Number({ minimum: 0, description: 'Asking the cache, and waiting for others who compute' })),
    sqlMs: Took,
  },
  { description: 'On `explain`; null: it was not needed' },
);
export type SearchTimings = Static<typeof SearchTimings>;

export const Clamped = Type.Object(
  { threshold: Type.Optional(Type.Number()), limit: Type.Optional(Type.Integer()) },
  { description: 'What was answered by instead of what was asked, because an operator has set a limit' },
);

export const SearchAnswer = Type.Object(
  {
    items: Type.Array(SearchHit),
    cache: OneOf(['hit', 'miss'] as const),
    model: Type.String({ description: 'of several, comma-separated' }),
    clamped: Type.Optional(Clamped),
    timings: Type.Optional(SearchTimings),
  },
  { $id: 'SearchAnswer' },
);
export type SearchAnswer = Static<typeof SearchAnswer>;
