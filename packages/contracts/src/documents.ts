import Type, { type Static } from 'typebox';
import { AnyId, Id, Nullable, OneOf, Timestamp } from './schema.ts';

export const CollectionName = Type.String({ pattern: '^[a-z0-9][a-z0-9_-]{0,62}$' });
export const defaultCollection = 'knowledge';

/** What a field of metadata may be called: no `$`, which filters may give a meaning one day, and no quotes. */
export const metadataName = /^[\p{L}\p{N}_][\p{L}\p{N}_ .:/@-]{0,119}$/u;
const Metadata = Type.Record(Type.String(), Type.Unknown(), {
  maxProperties: 50,
  propertyNames: { type: 'string', pattern: metadataName.source },
});

export const DocumentInput = Type.Object(
  {
    externalId: Type.Optional(AnyId),
    collection: Type.Optional(Type.Unsafe<string>({ ...CollectionName, default: defaultCollection })),
    title: Type.Optional(Nullable(Type.String({ maxLength: 500 }))),
    text: Type.String({ minLength: 1, maxLength: 100_000, pattern: '\\S' }),
    metadata: Type.Optional(Metadata),
  },
  { additionalProperties: false },
);
export type DocumentInput = Static<typeof DocumentInput>;

/** A document that may bring the embedding of its whole text along. */
export const EmbeddedDocumentInput = Type.Object(
  {
    ...DocumentInput.properties,
    embedding: Type.Optional(
      Type.Array(Type.Number(), { minItems: 1, maxItems: 16_000, description: 'of the whole text, by `model`' }),
    ),
    model: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
  },
  { additionalProperties: false },
);
export type EmbeddedDocumentInput = Static<typeof EmbeddedDocumentInput>;

export const Document = Type.Object(
  {
    id: Id,
    externalId: Nullable(Type.String()),
    collection: Type.String(),
    title: Nullable(Type.String()),
    text: Type.String(),
    metadata: Type.Record(Type.String(), Type.Unknown()),
    contentHash: Type.String({ description: 'of title and text: what the embedding is made from' }),
    embedded: Type.Boolean({ description: 'false until a worker has computed the embedding, of all its parts' }),
    model: Nullable(Type.String({ description: 'of the embeddings of its collection; null until the first one' })),
    createdAt: Timestamp,
    updatedAt: Timestamp,
  },
  { $id: 'Document' },
);
export type Document = Static<typeof Document>;

/** Parts of one document at most: the longest text, cut for the model that reads least. */
const maxChunks = 2_000;

const Chunk = Type.Object(
  {
    index: Type.Integer({ minimum: 0, maximum: maxChunks - 1 }),
    of: Type.Integer({ minimum: 1, maximum: maxChunks }),
    begin: Type.Integer({ minimum: 0, maximum: 100_000 }),
    length: Type.Integer({ minimum: 1, maximum: 100_000 }),
  },
  {
    additionalProperties: false,
    description:
      'The part of the text that was embedded, in code points; without it, all of it. The first part (index 0) comes ' +
      'last: with it the document is embedded.',
  },
);

/** Embeddings as a worker hands them in. An item counts only while the document's content is still the one it read. */
export const EmbeddingsBody = Type.Object(
  {
    model: Type.String({ minLength: 1, maxLength: 200 }),
    items: Type.Array(
      Type.Object(
        {
          id: Id,
          contentHash: Type.String({ maxLength: 128 }),
          chunk: Type.Optional(Chunk),
          embedding: Type.Array(Type.Number(), { minItems: 1, maxItems: 16_000 }),
        },
        { additionalProperties: false },
      ),
      { minItems: 1, maxItems: 200 },
    ),
  },
  { additionalProperties: false },
);
export type EmbeddingsBody = Static<typeof EmbeddingsBody>;

export const EmbeddingsAnswer = Type.Object({
  items: Type.Array(
    Type.Object({
      id: Id,
      status: OneOf(['stored', 'changed', 'missing'] as const, {
        description: '`changed`: the content is another one by now, or parts are missing; the embedding was not taken',
      }),
    }),
  ),
});
export type EmbeddingsAnswer = Static<typeof EmbeddingsAnswer>;
