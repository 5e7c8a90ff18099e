import { Nullable, OneOf, type Opportunity } from '@flowstate/contracts';
import Type, { type Static } from 'typebox';
import { rateOf, type History } from './base-rates.ts';
import { Evidence } from './evidence.ts';
import { Risk, risksOf } from './opportunity-risks.ts';
import { Source } from './statement.ts';
import { round } from './statistics.ts';
import { daysBetween, timeOf } from './timestamps.ts';
import { WinFactor, winProbability } from './win-probability.ts';

const Amount = Type.Object(
  {
    value: Type.Number({ description: 'USD' }),
    estimated: Type.Boolean(),
    source: OneOf(['recorded', 'average of won deals with this product', 'average of won deals']),
    evidence: Evidence,
  },
  { additionalProperties: false },
);
type Amount = Static<typeof Amount>;

/** An open opportunity with what it is probably worth. */
export const Forecast = Type.Object(
  {
    id: Type.String(),
    externalId: Type.String(),
    name: Nullable(Type.String()),
    product: Type.String(),
    owner: Type.String(),
    stage: Type.String(),
    ageDays: Nullable(Type.Integer()),
    probability: Nullable(Type.Number({ minimum: 0.01, maximum: 0.99 })),
    factors: Type.Array(WinFactor),
    basis: Type.Array(Source, { description: 'the rates the probability comes from' }),
    amount: Nullable(Amount),
    expectedValue: Nullable(Type.Number({ description: 'probability × amount, USD' })),
    risks: Type.Array(Risk),
  },
  { additionalProperties: false },
);
export type Forecast = Static<typeof Forecast>;

export function forecast(row: Opportunity, history: History, now: number): Forecast {
  const ageDays = row.openedAt ? daysBetween(timeOf(row.openedAt), now) : null;
  const { probability, factors, basis } = winProbability(history, row, ageDays);
  const amount = amountOf(row, history);
  return {
    id: row.id,
    externalId: row.externalId,
    name: row.name ?? null,
    product: row.product,
    owner: row.owner,
    stage: row.stage,
    ageDays,
    probability,
    factors,
    basis,
    amount,
    expectedValue: probability === null || amount === null ? null : round(probability * amount.value, 2),
    risks: risksOf(row, { history, factors, ageDays, now }),
  };
}

/** The recorded amount, else the average won one of the product, else of everything; null when nothing is known. */
function amountOf(row: Opportunity, history: History): Amount | null {
  if (typeof row.amount === 'number') {
    const evidence = { kind: 'opportunity' as const, ids: [row.id] };
    return { value: row.amount, estimated: false, source: 'recorded', evidence };
  }
  const product = rateOf(history.rates, 'product', row.product);
  const all = rateOf(history.rates, 'all', '');
  const average = (rate: typeof all) => round(rate.wonAmount / rate.wonWithAmount, 2);
  if (product.wonWithAmount > 0) {
    const source = 'average of won deals with this product';
    return { value: average(product), estimated: true, source, evidence: history.evidence('product', row.product) };
  }
  if (all.wonWithAmount === 0) return null;
  return {
    value: average(all),
    estimated: true,
    source: 'average of won deals',
    evidence: history.evidence('all', ''),
  };
}
