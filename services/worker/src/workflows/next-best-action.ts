import { AnyId, Timestamp } from '@flowstate/contracts';
import { defineWorkflow } from '@flowstate/workflow';
import Type from 'typebox';
import { bestActionsAgent, BestActionsResult } from '../agents/best-actions.ts';
import { interactionAgent } from '../agents/interaction.ts';
import { Author, mindField } from '../agents/mind.ts';
import { offersAgent } from '../agents/offers.ts';
import { salesIntelligenceAgent } from '../agents/sales-intelligence.ts';

const NextBestActionInput = Type.Object(
  {
    customerId: Type.Unsafe<string>({ ...AnyId, 'x-flowstate-entity': 'customer', description: 'a stored customer' }),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 50, default: 10, description: 'actions at most' })),
    asOf: Type.Optional(
      Type.Unsafe<string>({ ...Timestamp, description: 'the moment ages and spans are counted from; default now' }),
    ),
    ...mindField,
  },
  { additionalProperties: false },
);

const NextBestAction = Type.Object(
  {
    customerId: Type.String(),
    asOf: Timestamp,
    ...BestActionsResult.properties,
    writtenBy: Author,
    dropped: Type.Integer({ description: 'sentences of the model that nothing supports; they were left out' }),
  },
  { additionalProperties: false },
);

/** What to do next for one customer, by expected value; the values are computed from the CRM, never by a model. */
export const nextBestAction = defineWorkflow(
  {
    name: 'next-best-action',
    version: '1',
    description: 'What to do next for one customer: actions ranked by expected value, each with its reason',
    input: NextBestActionInput,
    output: NextBestAction,
  },
  async (ctx, { customerId, limit = 10, asOf = ctx.now().toISOString() }) => {
    const about = { customerId, asOf };
    const [interaction, sales, { offers }] = await ctx.all([
      ctx.agent(interactionAgent, about),
      ctx.agent(salesIntelligenceAgent, about),
      ctx.agent(offersAgent, { customerId }),
    ]);
    const ranked = await ctx.agent(bestActionsAgent, { ...about, limit, interaction, sales, offers });
    return { ...about, ...ranked, writtenBy: 'template' as const, dropped: 0 };
  },
);
