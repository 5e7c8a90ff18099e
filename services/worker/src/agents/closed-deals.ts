import { Nullable, Timestamp, type Opportunity } from '@flowstate/contracts';
import Type, { type Static } from 'typebox';
import { round, sum } from './statistics.ts';
import { previousDays } from './time-span.ts';
import { dayMs, timeOf } from './timestamps.ts';

const shape = {
  won: Type.Integer(),
  lost: Type.Integer(),
  winRate: Nullable(Type.Number({ description: 'won of closed; null when nothing closed' })),
  wonRevenue: Type.Number({ description: 'USD, of the won ones with an amount' }),
  wonIds: Type.Array(Type.String()),
  lostIds: Type.Array(Type.String()),
};
const closed = { additionalProperties: false };

/** What became of this customer's closed opportunities, now and as it stood ninety days earlier. */
export const ClosedDeals = Type.Object(
  {
    ...shape,
    wonWithoutAmount: Type.Integer(),
    before: Type.Object(
      { asOf: Timestamp, ...shape },
      { ...closed, description: 'those known to have closed by then' },
    ),
  },
  closed,
);
export type ClosedDeals = Static<typeof ClosedDeals>;

export function closedDeals(rows: readonly Opportunity[], now: number): ClosedDeals {
  const then = now - previousDays * dayMs;
  const earlier = rows.filter(({ closedAt }) => closedAt && timeOf(closedAt) <= then);
  const wonWithoutAmount = rows.filter(({ stage, amount }) => stage === 'won' && typeof amount !== 'number').length;
  return { ...count(rows), wonWithoutAmount, before: { asOf: new Date(then).toISOString(), ...count(earlier) } };
}

function count(rows: readonly Opportunity[]) {
  const won = rows.filter(({ stage }) => stage === 'won');
  const lost = rows.filter(({ stage }) => stage === 'lost');
  return {
    won: won.length,
    lost: lost.length,
    winRate: rows.length === 0 ? null : round(won.length / rows.length, 4),
    wonRevenue: round(sum(won.map(({ amount }) => amount ?? 0)), 2),
    wonIds: won.map(({ id }) => id),
    lostIds: lost.map(({ id }) => id),
  };
}
