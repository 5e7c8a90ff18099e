import { AnyId, isClosed, Nullable, OpportunityInput, Timestamp, type Opportunity } from '@flowstate/contracts';
import { defineAgent } from '@flowstate/workflow';
import Type, { type Static } from 'typebox';
import { createCrm } from '../crm.ts';
import { inlineHistory, rateOf, storedHistory, type History } from './base-rates.ts';
import { ClosedDeals, closedDeals } from './closed-deals.ts';
import { forecast, Forecast } from './forecast.ts';
import { inlineRows } from './inline-facts.ts';
import { round, sum } from './statistics.ts';
import { compareText } from './time-span.ts';
import { timeOf } from './timestamps.ts';

const closed = { additionalProperties: false };

const SalesAgentInput = Type.Object(
  {
    customerId: AnyId,
    asOf: Timestamp,
    opportunities: Type.Optional(Type.Array(OpportunityInput, { description: 'inline facts; else they are read' })),
    history: Type.Optional(
      Type.Array(OpportunityInput, { description: 'with `opportunities`: closed ones for rates' }),
    ),
  },
  closed,
);

export const SalesResult = Type.Object(
  {
    closed: ClosedDeals,
    baseRate: Type.Object(
      { closed: Type.Integer(), won: Type.Integer(), rate: Nullable(Type.Number()) },
      { ...closed, description: 'all closed opportunities of the history, not of this customer alone' },
    ),
    pipeline: Type.Object(
      {
        open: Type.Integer(),
        ids: Type.Array(Type.String()),
        amount: Nullable(Type.Number({ description: 'recorded and estimated amounts together' })),
        expectedValue: Nullable(Type.Number()),
        valued: Type.Array(Type.String(), { description: 'ids of those whose expected value is known' }),
        estimated: Type.Integer({ description: 'how many amounts are estimates' }),
      },
      closed,
    ),
    open: Type.Array(Forecast, { description: 'the largest expected value first' }),
    omitted: Type.Integer({ description: 'open opportunities counted above but not listed' }),
    truncated: Type.Boolean(),
  },
  closed,
);
export type SalesResult = Static<typeof SalesResult>;

const listed = 50;

/** Tells what a customer bought, and what its open opportunities are worth by the history's win rates. */
export const salesIntelligenceAgent = defineAgent({
  name: 'sales-intelligence',
  description: 'Win probability and expected value of open opportunities, risks with reasons, closed history',
  input: SalesAgentInput,
  output: SalesResult,
  async run(ctx, { customerId, asOf, opportunities, history }) {
    if (opportunities !== undefined) {
      const rows = inlineRows(opportunities);
      const rates = history ? inlineHistory(inlineRows(history), 'history') : inlineHistory(rows, 'opportunities');
      return judge(rows, rates, timeOf(asOf), false);
    }
    const crm = createCrm(ctx.backend, ctx.signal);
    const [{ rows, truncated }, rates] = await Promise.all([crm.opportunities(customerId), crm.baseRates()]);
    return judge(rows, storedHistory(rates), timeOf(asOf), truncated);
  },
});

function judge(rows: readonly Opportunity[], history: History, now: number, truncated: boolean): SalesResult {
  const open = rows
    .filter((row) => !isClosed(row))
    .map((row) => forecast(row, history, now))
    .sort((a, b) => (b.expectedValue ?? -Infinity) - (a.expectedValue ?? -Infinity) || compareText(a.id, b.id));
  const all = rateOf(history.rates, 'all', '');
  const priced = open.flatMap(({ amount }) => (amount === null ? [] : [amount]));
  const valued = open.flatMap(({ id, expectedValue }) => (expectedValue === null ? [] : [{ id, expectedValue }]));
  return {
    closed: closedDeals(rows.filter(isClosed), now),
    baseRate: { closed: all.closed, won: all.won, rate: all.closed === 0 ? null : round(all.won / all.closed, 4) },
    pipeline: {
      open: open.length,
      ids: open.map(({ id }) => id),
      amount: priced.length === 0 ? null : round(sum(priced.map(({ value }) => value)), 2),
      expectedValue: valued.length === 0 ? null : round(sum(valued.map(({ expectedValue }) => expectedValue)), 2),
      valued: valued.map(({ id }) => id),
      estimated: priced.filter(({ estimated }) => estimated).length,
    },
    open: open.slice(0, listed),
    omitted: Math.max(0, open.length - listed),
    truncated,
  };
}
