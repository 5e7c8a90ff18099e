import { ageBucketOf, Nullable, OneOf, type Opportunity } from '@flowstate/contracts';
import Type, { type Static } from 'typebox';
import { rateOf, survivorsOf, type History } from './base-rates.ts';
import { figure, quoted, type Source } from './statement.ts';
import { clamp, logistic, logit, round, sum } from './statistics.ts';

/**
 * Weight of the overall rate, in opportunities: a product or owner with this many closed ones is believed by half.
 * Shrinking a group's rate to the overall one by `(won + k·p0) / (closed + k)` is the posterior mean of a
 * beta-binomial with prior Beta(k·p0, k·(1 − p0)); see Micci-Barreca 2001 on rates of high-cardinality categories.
 */
const priorWeight = 20;

export const WinFactor = Type.Object(
  {
    dimension: OneOf(['stage', 'product', 'owner', 'age']),
    value: Type.String(),
    closed: Type.Integer(),
    won: Type.Integer(),
    rate: Nullable(Type.Number({ description: 'shrunk to the overall rate; null when nothing closed' })),
  },
  { additionalProperties: false },
);
export type WinFactor = Static<typeof WinFactor>;

/** `basis`: the rates it was computed from. */
export type WinProbability = { probability: number | null; factors: WinFactor[]; basis: Source[] };

/** Share of the closed opportunities that were won, as counted. */
export function wonShare(history: History): number | null {
  const { closed, won } = rateOf(history.rates, 'all', '');
  return closed === 0 ? null : round(won / closed, 4);
}

/** Overall win rate with a Jeffreys prior, Beta(½, ½): one won opportunity is no certainty. Null without history. */
export function overallRate(history: History): number | null {
  const { closed, won } = rateOf(history.rates, 'all', '');
  return closed === 0 ? null : (won + 0.5) / (closed + 1);
}

/** A group's win rate shrunk to the overall rate `p0`. */
function shrunkRate(group: { won: number; closed: number }, p0: number): number {
  return (group.won + priorWeight * p0) / (group.closed + priorWeight);
}

/**
 * Probability that an open opportunity is won, from the history's rates by stage, product, owner and age.
 *
 * The shifts of the factors against the overall rate are added as log-odds, as naive Bayes would, but scaled by
 * 1/√m for m factors. Naive Bayes takes the factors for independent, and a good seller's products and stages are not:
 * full weights count the same success several times, 1/m (the geometric mean of the odds) would be right if all
 * factors said the same, and 1/√m lies between the two, exact for a mutual correlation of 1/(1 + √m). On 6,711 closed
 * opportunities of a public practice set, open ones predicted at three dates from what had closed before, the log loss
 * was 0.656 with full weights, 0.645 with 1/√m, 0.642 with 1/m and 0.641 with the overall rate alone.
 *
 * For age the group is every opportunity that was still open at that age, for that is what is known of this one.
 * Null without any history; else within [0.01, 0.99].
 */
export function winProbability(history: History, row: Opportunity, ageDays: number | null): WinProbability {
  const p0 = overallRate(history);
  const groups = [
    rateOf(history.rates, 'stage', row.stage),
    rateOf(history.rates, 'product', row.product),
    rateOf(history.rates, 'owner', row.owner),
    ...(ageDays === null ? [] : [survivorsOf(history.rates, ageBucketOf(ageDays))]),
  ];
  const factors = groups.map(({ dimension, value, closed, won }): WinFactor => {
    const rate = p0 === null || closed === 0 ? null : round(shrunkRate({ closed, won }, p0), 4);
    return { dimension: dimension as WinFactor['dimension'], value, closed, won, rate };
  });
  if (p0 === null) return { probability: null, factors, basis: [] };

  const known = groups.filter(({ closed }) => closed > 0);
  const shifts = known.map((group) => logit(shrunkRate(group, p0)) - logit(p0));
  const dampening = known.length === 0 ? 0 : 1 / Math.sqrt(known.length);
  const probability = clamp(logistic(logit(p0) + dampening * sum(shifts)), 0.01, 0.99);
  const basis = [
    figure('overall win rate', wonShare(history) ?? 0, 'ratio', history.evidence('all', '')),
    ...factors.flatMap(({ dimension, value, rate }) =>
      rate === null ? [] : [figure(factorLabel(dimension, value), rate, 'ratio', history.evidence(dimension, value))],
    ),
  ].map(({ from: _from, ...source }) => source);
  return { probability: round(probability, 4), factors, basis };
}

export function factorLabel(dimension: WinFactor['dimension'], value: string): string {
  const which =
    dimension === 'age'
      ? 'opportunities still open at an age of'
      : dimension === 'stage'
        ? 'those that entered stage'
        : dimension;
  return `win rate of ${which} ${quoted(value)}${dimension === 'age' ? ' days' : ''}, shrunk to the overall rate`;
}
