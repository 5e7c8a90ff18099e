import type { RecommendationKind, RecommendationReason, SimilarCustomer } from '@flowstate/contracts';
import type { Opinion, PopularItem } from '@flowstate/store';

export type TalliedOpinion = {
  kind: RecommendationKind;
  item: string;
  /** Expected share of `helpful`, 0 to 1: the similarity-weighted votes and one of each beside them (Laplace). */
  score: number;
  helpful: number;
  reason: RecommendationReason;
};

export type OpinionTally = {
  of(kind: RecommendationKind, item: string): TalliedOpinion | null;
  /** Somebody said that it does not help this customer, and not more people that it does. */
  isRejected(kind: RecommendationKind, item: string): boolean;
  all(): TalliedOpinion[];
};

type Options = { customerId: string; similar: readonly SimilarCustomer[]; popular: readonly PopularItem[] };

/** What was said of recommended items: for similar customers, weighted by similarity; for all customers where nobody similar is known. */
export function tallyOpinions(opinions: readonly Opinion[], { customerId, similar, popular }: Options): OpinionTally {
  const keyOf = (kind: RecommendationKind, item: string) => `${kind} ${item}`;
  const own = opinions.filter((opinion) => opinion.customerId === customerId);
  const rejected = new Set(
    own
      .filter(({ helpful, unhelpful }) => unhelpful > 0 && unhelpful >= helpful)
      .map(({ kind, item }) => keyOf(kind, item)),
  );
  const tallied = new Map<string, TalliedOpinion>();
  const others = opinions.filter((opinion) => opinion.customerId !== customerId);
  for (const [key, about] of Map.groupBy(others, ({ kind, item }) => keyOf(kind, item))) {
    const [first] = about;
    if (first !== undefined) tallied.set(key, fromSimilar(first.kind, first.item, about, similar));
  }
  if (similar.length === 0) for (const item of popular) tallied.set(keyOf(item.kind, item.item), fromAll(item));

  return {
    of: (kind, item) => tallied.get(keyOf(kind, item)) ?? null,
    isRejected: (kind, item) => rejected.has(keyOf(kind, item)),
    all: () => [...tallied.values()],
  };
}

function fromSimilar(
  kind: RecommendationKind,
  item: string,
  about: readonly Opinion[],
  similar: readonly SimilarCustomer[],
): TalliedOpinion {
  const votes = similar.flatMap((customer) => {
    const opinion = about.find(({ customerId }) => customerId === customer.id);
    return opinion === undefined ? [] : [{ customer, ...opinion }];
  });
  const total = (of: (vote: (typeof votes)[number]) => number) => votes.reduce((sum, vote) => sum + of(vote), 0);
  const [helpful, unhelpful] = [total((vote) => vote.helpful), total((vote) => vote.unhelpful)];
  const weighted = total((vote) => vote.helpful * vote.customer.similarity);
  const against = total((vote) => vote.unhelpful * vote.customer.similarity);
  return {
    kind,
    item,
    score: (weighted + 1) / (weighted + against + 2),
    helpful,
    reason: {
      kind: 'helpful-for-similar',
      text: `called helpful ${helpful} and not helpful ${unhelpful} times for similar customers`,
      customers: votes.map(({ customer: { id, externalId, similarity } }) => ({
        id,
        externalId,
        similarity,
        opportunities: [],
      })),
    },
  };
}

function fromAll({ kind, item, helpful, unhelpful }: PopularItem): TalliedOpinion {
  const text = `called helpful ${helpful} and not helpful ${unhelpful} times for all customers`;
  const score = (helpful + 1) / (helpful + unhelpful + 2);
  return { kind, item, score, helpful, reason: { kind: 'helpful-for-all', text, customers: [] } };
}
