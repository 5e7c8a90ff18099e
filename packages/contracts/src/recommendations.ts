import Type, { type Static } from 'typebox';
import { Clamped } from './search.ts';
import { AnyId, Id, Nullable, OneOf, Timestamp } from './schema.ts';

export const recommendationKinds = ['action', 'document'] as const;
export type RecommendationKind = (typeof recommendationKinds)[number];
const Kind = OneOf(recommendationKinds);

export const RecommendationsBody = Type.Object(
  {
    customerId: AnyId,
    kinds: Type.Optional(
      Type.Array(Kind, { minItems: 1, maxItems: 2, uniqueItems: true, description: 'default both' }),
    ),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 50, default: 10 })),
    asOf: Type.Optional(
      Type.Unsafe<string>({
        ...Timestamp,
        description: 'a look back: what opportunities and feedback of before that moment said; not kept, no feedback',
      }),
    ),
  },
  { additionalProperties: false },
);
export type RecommendationsBody = Static<typeof RecommendationsBody>;

const Share = Type.Number({ minimum: 0, maximum: 1 });
const Ref = { id: Id, externalId: Type.String() };
const OpportunityRef = Type.Object({ ...Ref, name: Nullable(Type.String()), closedAt: Nullable(Timestamp) });

const common = ['products', 'industry', 'segment', 'size', 'country'] as const;
export const SimilarCustomer = Type.Object({
  ...Ref,
  name: Type.String(),
  similarity: Share,
  common: Type.Array(OneOf(common), { description: 'attributes that are the same, products bought and size: alike' }),
});
export type SimilarCustomer = Static<typeof SimilarCustomer>;

/** Why something is recommended: `text` for a person, the rest are the rows its figures are counted from. */
export const RecommendationReason = Type.Object({
  kind: OneOf([
    'won-by-similar',
    'won-by-all',
    'helpful-for-similar',
    'helpful-for-all',
    'about-recommended-product',
  ] as const),
  text: Type.String(),
  customers: Type.Array(Type.Object({ ...Ref, similarity: Share, opportunities: Type.Array(OpportunityRef) }), {
    description: 'similar customers it rests on, the most similar first',
  }),
});
export type RecommendationReason = Static<typeof RecommendationReason>;

export const Recommendation = Type.Object({
  kind: Kind,
  item: Type.String({ description: 'what feedback names: a product, or the id of a document' }),
  title: Type.String(),
  score: Type.Number({ description: '0 to 1; orders the items, the likeliest to help first' }),
  document: Type.Optional(
    Type.Object({
      id: Id,
      externalId: Nullable(Type.String()),
      collection: Type.String(),
      title: Nullable(Type.String()),
    }),
  ),
  reasons: Type.Array(RecommendationReason, { minItems: 1 }),
});
export type Recommendation = Static<typeof Recommendation>;

export const RecommendationsAnswer = Type.Object(
  {
    id: Nullable(Type.Unsafe<string>({ ...Id, description: 'for feedback; null for a look back' })),
    customer: Type.Object(Ref),
    basis: OneOf(['similar-customers', 'all-customers', 'nothing'] as const, {
      description:
        '`all-customers`: nobody similar is known, what helped most customers is recommended; `nothing`: nothing helped anybody yet',
    }),
    similar: Type.Array(SimilarCustomer, { description: 'the most similar first' }),
    items: Type.Array(Recommendation),
    clamped: Type.Optional(Clamped),
  },
  { $id: 'RecommendationsAnswer' },
);
export type RecommendationsAnswer = Static<typeof RecommendationsAnswer>;

export const RecommendationFeedbackBody = Type.Object(
  { kind: Kind, item: Type.String({ minLength: 1, maxLength: 255 }), helpful: Type.Boolean() },
  { additionalProperties: false },
);
export type RecommendationFeedbackBody = Static<typeof RecommendationFeedbackBody>;

export const RecommendationFeedback = Type.Object({
  ...RecommendationFeedbackBody.properties,
  changed: Type.Boolean({ description: 'the same principal said otherwise of it for this customer before' }),
});
export type RecommendationFeedback = Static<typeof RecommendationFeedback>;
