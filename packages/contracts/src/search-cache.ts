import Type, { type Static } from 'typebox';
import { CollectionName } from './documents.ts';
import { Nullable, OneOf, Reason } from './schema.ts';

const Count = Type.Integer({ minimum: 0 });

/** What one process did with the vector-search cache since it began. */
export const SearchCacheCounts = Type.Object({
  requests: Type.Object(
    { hit: Count, stale: Count, waited: Count, miss: Count, unavailable: Count },
    {
      description:
        '`stale`: given, and computed anew behind it; `waited`: another process computed it; `unavailable`: searched ' +
        'without the cache',
    },
  ),
  embeddings: Type.Object(
    { hit: Count, miss: Count, unavailable: Count },
    { description: 'Of queries. `hit`: in this process, where one being computed counts too, or in Redis' },
  ),
  hitsHere: Type.Integer({ minimum: 0, description: 'Hits that did not ask Redis' }),
  evictedHere: Count,
  bytesRead: Count,
  bytesWritten: Count,
});
export type SearchCacheCounts = Static<typeof SearchCacheCounts>;

export const SearchCacheStats = Type.Object(
  {
    gateway: Type.Object({
      ...SearchCacheCounts.properties,
      here: Type.Object({ entries: Count, bytes: Count }, { description: 'Answers in this process, estimated bytes' }),
    }),
    redis: Type.Object({
      state: OneOf(['up', 'down'] as const),
      keys: Nullable(Count),
      usedBytes: Nullable(Count),
      maxBytes: Nullable(Type.Integer({ minimum: 0, description: '0: no limit' })),
      evicted: Nullable(Count),
    }),
  },
  { $id: 'SearchCacheStats' },
);
export type SearchCacheStats = Static<typeof SearchCacheStats>;

export const ClearCacheBody = Type.Object(
  {
    collection: Type.Optional(CollectionName),
    reason: Reason,
  },
  { additionalProperties: false },
);
export type ClearCacheBody = Static<typeof ClearCacheBody>;

export const ClearedCache = Type.Object(
  { collections: Type.Array(Type.String(), { description: 'Their cached answers are not given any more' }) },
  { $id: 'ClearedCache' },
);
export type ClearedCache = Static<typeof ClearedCache>;
