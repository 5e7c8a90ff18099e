import Type, { type Static } from 'typebox';
import { Id, Nullable, OneOf, Timestamp } from './schema.ts';

const Visibility = OneOf(['shared', 'private'] as const, {
  description: '`shared`: everybody who may search sees it; `private`: its owner and who was granted access',
});
const CacheTtl = Nullable(
  Type.Integer({
    minimum: 1,
    maximum: 86_400,
    description: 'Seconds a cached answer from it lives at most; null: as configured. Of several, the shortest counts',
  }),
);

/** What is not given stays as it is; a new collection is shared and its maker's. */
export const CollectionBody = Type.Object(
  { ownerId: Type.Optional(Id), visibility: Type.Optional(Visibility), cacheTtlSeconds: Type.Optional(CacheTtl) },
  { additionalProperties: false },
);
export type CollectionBody = Static<typeof CollectionBody>;

export const granteeKinds = ['users', 'roles'] as const;
export type GranteeKind = (typeof granteeKinds)[number];

const Grant = Type.Object({
  kind: OneOf(granteeKinds),
  grantee: Type.String({ description: "A user's id or a role" }),
  grantedBy: Nullable(Id),
  grantedAt: Timestamp,
});

export const CollectionDetails = Type.Object(
  {
    name: Type.String(),
    ownerId: Nullable(Id),
    visibility: Visibility,
    model: Nullable(Type.String({ description: 'of its embeddings; null until the first one' })),
    dimensions: Nullable(Type.Integer()),
    version: Type.Integer({ description: 'Rises with every write to its documents' }),
    accessEpoch: Type.Integer({ description: 'Rises with every change of who sees it' }),
    cacheTtlSeconds: CacheTtl,
    grants: Nullable(Type.Array(Grant, { description: 'For its owner and administrators; null for others' })),
    createdAt: Timestamp,
  },
  { $id: 'Collection' },
);
export type CollectionDetails = Static<typeof CollectionDetails>;

export const CollectionProgress = Type.Object({
  ...CollectionDetails.properties,
  awaitingEmbedding: Type.Integer({ description: 'documents that no search finds yet: they are still to be embedded' }),
});
