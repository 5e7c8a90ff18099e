import { OneOf } from '@flowstate/contracts';
import type { Static } from 'typebox';
import { rowsOf } from './evidence.ts';
import type { Forecast } from './forecast.ts';
import type { InteractionResult } from './interaction.ts';
import type { NextAction } from './next-actions.ts';
import type { Offer } from './offers.ts';
import type { SalesResult } from './sales-intelligence.ts';
import { figure, quote, quoted, say, type Figure, type Statement } from './statement.ts';
import { round } from './statistics.ts';

export const BestActionKind = OneOf([
  'advance-opportunity',
  'revive-opportunity',
  'offer-product',
  'answer-question',
  'talk-to-customer',
  'get-in-touch',
  'answer-faster',
  'work-on-topic',
]);

/** An action with what it is worth and why; `arithmetic` says how the value was computed. */
export type ValuedAction = {
  action: Static<typeof BestActionKind>;
  /** What it is about: an opportunity's external id or a product; null: the customer. */
  subject: string | null;
  priority: NextAction['priority'];
  /** `gain`: what the action may bring; `at-stake`: what is lost without it, in the same money. */
  value: { kind: 'gain' | 'at-stake'; figure: Figure; arithmetic: Statement } | null;
  reason: Statement;
};

type Facts = {
  customerId: string;
  interaction: InteractionResult;
  sales: SalesResult;
  offers: readonly Offer[];
};

const ranks = { high: 0, medium: 1, low: 2 };
const shownRisks = 2;

/**
 * Everything that could be done next, by what it is worth. An open opportunity is worth its win probability times its
 * amount; an offer the share of similar customers who bought the product times the average amount of a won deal with
 * it; what endangers the relationship at high priority puts at stake what all open opportunities together are worth.
 * What nothing is known about comes last, by priority.
 */
export function valuedActions({ customerId, interaction, sales, offers }: Facts): ValuedAction[] {
  const actions = [
    ...interaction.nextActions.map((one) => relationshipAction(customerId, one, sales)),
    ...sales.open.map(opportunityAction),
    ...offers.map(offerAction),
  ];
  const worth = ({ value }: ValuedAction) => value?.figure.value ?? -1;
  // The sort is stable: of equals, what is at stake comes before what may be gained.
  return actions.toSorted((a, b) => worth(b) - worth(a) || ranks[a.priority] - ranks[b.priority]);
}

function relationshipAction(
  customerId: string,
  { action, priority, reason }: NextAction,
  { pipeline, open }: SalesResult,
): ValuedAction {
  const expected = pipeline.expectedValue;
  if (priority !== 'high' || expected === null) return { action, subject: null, priority, value: null, reason };
  const parts = open.flatMap((one) => (one.expectedValue === null ? [] : [expectedOf(one)]));
  const rows = rowsOf('opportunity', pipeline.valued, customerId);
  const atStake = figure('expected value of open opportunities', expected, 'usd', rows, parts);
  const count = figure('open opportunities whose value is known', pipeline.valued.length, 'count', rows);
  const arithmetic = say`What is open is at stake: ${count} worth ${atStake} together`;
  return { action, subject: null, priority, value: { kind: 'at-stake', figure: atStake, arithmetic }, reason };
}

function opportunityAction(one: Forecast): ValuedAction {
  const name = quote(one.name ?? one.externalId);
  const stale = one.risks.find(({ risk }) => risk === 'stale-stage');
  const risks = one.risks.filter((risk) => risk !== stale).slice(0, shownRisks);
  const what = stale
    ? say`Revive ${name}: ${stale.reason}`
    : say`Advance ${name} (${quote(one.product)}, stage ${quote(one.stage)})`;
  const reason = risks.reduce((text, risk) => say`${text}; ${risk.reason}`, what);
  const action = stale ? 'revive-opportunity' : 'advance-opportunity';
  return { action, subject: one.externalId, priority: stale ? 'high' : 'medium', value: gainOf(one), reason };
}

function gainOf(one: Forecast): ValuedAction['value'] {
  if (one.expectedValue === null || one.amount === null || one.probability === null) return null;
  const { probability, amount, expected } = factorsOf(one, one.probability, one.amount, one.expectedValue);
  const estimated = one.amount.estimated ? say` (an estimate: ${one.amount.source})` : say``;
  const arithmetic = say`Win probability ${probability} × amount ${amount}${estimated} = ${expected}`;
  return { kind: 'gain', figure: expected, arithmetic };
}

function expectedOf(one: Forecast): Figure {
  const evidence = { kind: 'opportunity' as const, ids: [one.id] };
  return figure(`expected value of ${quoted(one.name ?? one.externalId)}`, one.expectedValue ?? 0, 'usd', evidence);
}

function factorsOf(one: Forecast, chance: number, money: NonNullable<Forecast['amount']>, worth: number) {
  const name = quoted(one.name ?? one.externalId);
  const evidence = { kind: 'opportunity' as const, ids: [one.id] };
  const probability = figure(`win probability of ${name}`, chance, 'ratio', evidence, one.basis);
  const amount = figure(`amount of ${name}`, money.value, 'usd', money.evidence);
  return {
    probability,
    amount,
    expected: figure(`expected value of ${name}`, worth, 'usd', evidence, [probability, amount]),
  };
}

function offerAction({ product, share, buyers, similar, averageAmount, evidence }: Offer): ValuedAction {
  const name = quoted(product);
  // Where nobody similar is known, the share is that of all customers who bought anything.
  const customers = similar.length === 0 ? evidence : { kind: 'customer' as const, ids: similar };
  const bought =
    buyers.length === 0
      ? say`none of the similar customers bought it, but others did`
      : say`similar customers bought it, among them ${figure(`similar customers named who bought ${name}`, buyers.length, 'count', { kind: 'customer', ids: buyers })}`;
  const likely = figure(`share of customers like this one who bought ${name}`, share, 'ratio', customers);
  const reason = say`Offer ${quote(product)}: ${bought}; estimated share ${likely}`;
  const base = { action: 'offer-product' as const, subject: product, priority: 'medium' as const, reason };
  if (averageAmount === null) return { ...base, value: null };
  const amount = figure(`average amount of won opportunities with ${name}`, averageAmount, 'usd', evidence);
  const expected = figure(`expected value of offering ${name}`, round(share * averageAmount, 2), 'usd', evidence, [
    likely,
    amount,
  ]);
  const arithmetic = say`Share ${likely} × average won amount ${amount} = ${expected}`;
  return { ...base, value: { kind: 'gain', figure: expected, arithmetic } };
}
