import type { Recommendation, RecommendationReason, SimilarCustomer } from '@flowstate/contracts';
import type { ProductOutcome } from '@flowstate/store';
import type { OpinionTally } from './opinion-tally.ts';

/** What everybody bought counts as much as so many wholly similar customers: few neighbours alone decide nothing. */
const priorWeight = 5;
/**
 * Power of a similarity that is its weight, so that many who are a little alike do not outvote a few who are much: case
 * amplification of Breese, Heckerman and Kadie, "Empirical Analysis of Predictive Algorithms for Collaborative Filtering"
 * (UAI 1998), with their value.
 */
const amplification = 2.5;
/** Customers named in a reason, and opportunities of each. */
const named = { customers: 5, opportunities: 3 };

/**
 * Products the customer has not bought yet, the likeliest to be bought first. The score estimates the share of customers
 * like this one who won it: the similarity-weighted share of similar customers who did (k nearest neighbours), shrunk
 * towards that of all customers, and moved by what was said of the product when it was recommended to them.
 */
export function rankActions(
  outcomes: readonly ProductOutcome[],
  similar: readonly SimilarCustomer[],
  opinions: OpinionTally,
): Recommendation[] {
  const weigh = (customers: readonly SimilarCustomer[]) =>
    customers.reduce((sum, { similarity }) => sum + similarity ** amplification, 0);
  const weight = weigh(similar);
  const ranked = outcomes.flatMap(({ product, winners, of, won }): Recommendation[] => {
    if (opinions.isRejected('action', product)) return [];
    const buyers = similar.filter(({ id }) => won.some(({ customerId }) => customerId === id));
    const share = (weigh(buyers) + priorWeight * (winners / of)) / (weight + priorWeight);
    const reasons: RecommendationReason[] = [
      {
        kind: 'won-by-all',
        text: `${winners} of ${of} other customers who bought anything bought ${product}`,
        customers: [],
      },
    ];
    if (buyers.length > 0) {
      reasons.unshift({
        kind: 'won-by-similar',
        text: `${buyers.length} of ${similar.length} similar customers bought ${product}`,
        customers: buyers.slice(0, named.customers).map(({ id, externalId, similarity }) => {
          const own = won.filter(({ customerId }) => customerId === id).slice(0, named.opportunities);
          const opportunities = own.map((one) => ({
            id: one.id,
            externalId: one.externalId,
            name: one.name,
            closedAt: one.closedAt,
          }));
          return { id, externalId, similarity, opportunities };
        }),
      });
    }
    const opinion = opinions.of('action', product);
    if (opinion !== null) reasons.push(opinion.reason);
    const score = Math.min(1, share * (opinion === null ? 1 : 2 * opinion.score));
    return [{ kind: 'action', item: product, title: `Offer ${product}`, score, reasons }];
  });
  return ranked.toSorted((a, b) => b.score - a.score);
}
