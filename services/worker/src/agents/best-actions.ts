import { AnyId, Nullable, OneOf, Timestamp } from '@flowstate/contracts';
import { defineAgent } from '@flowstate/workflow';
import Type, { type Static } from 'typebox';
import { Claim, createClaimBook, Sentence } from './claims.ts';
import { InteractionResult } from './interaction.ts';
import { OffersResult } from './offers.ts';
import { SalesResult } from './sales-intelligence.ts';
import { BestActionKind, valuedActions } from './valued-actions.ts';

const closed = { additionalProperties: false };

export const BestAction = Type.Object(
  {
    id: Type.String({ pattern: '^a[1-9][0-9]*$' }),
    action: BestActionKind,
    subject: Nullable(Type.String({ description: 'external id of an opportunity, or a product; null: the customer' })),
    priority: OneOf(['high', 'medium', 'low']),
    expectedValue: Nullable(Type.Number({ description: 'USD' })),
    value: Nullable(
      OneOf(['gain', 'at-stake'], { description: 'what the action may bring, or what is lost without it' }),
    ),
    arithmetic: Nullable(Sentence),
    reason: Sentence,
  },
  closed,
);
export type BestAction = Static<typeof BestAction>;

export const BestActionsResult = Type.Object(
  {
    actions: Type.Array(BestAction, { description: 'the most valuable first' }),
    omitted: Type.Integer({ description: 'actions beyond the limit' }),
    claims: Type.Array(Claim, { description: 'every number with the rows it comes from' }),
  },
  closed,
);
export type BestActionsResult = Static<typeof BestActionsResult>;

/** Values and ranks what could be done next; every number in its sentences is a claim. */
export const bestActionsAgent = defineAgent({
  name: 'best-actions',
  description: 'Ranks what could be done next by expected value, with the arithmetic and the reason of each',
  input: Type.Object(
    {
      customerId: AnyId,
      asOf: Timestamp,
      limit: Type.Integer({ minimum: 1, maximum: 50 }),
      interaction: InteractionResult,
      sales: SalesResult,
      offers: OffersResult.properties.offers,
    },
    closed,
  ),
  output: BestActionsResult,
  run(_ctx, { limit, ...facts }) {
    const all = valuedActions(facts);
    const book = createClaimBook();
    const actions = all.slice(0, limit).map(({ action, subject, priority, value, reason }, index): BestAction => {
      return {
        id: `a${index + 1}`,
        action,
        subject,
        priority,
        expectedValue: value?.figure.value ?? null,
        value: value?.kind ?? null,
        arithmetic: value === null ? null : book.sentence(value.arithmetic),
        reason: book.sentence(reason),
      };
    });
    return { actions, omitted: all.length - actions.length, claims: [...book.claims] };
  },
});
