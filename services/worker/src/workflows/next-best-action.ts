import { AnyId, FlowstateError, Timestamp } from '@flowstate/contracts';
import { defineWorkflow } from '@flowstate/workflow';
import Type from 'typebox';
import { bestActionsAgent, BestActionsResult } from '../agents/best-actions.ts';
import { checkInlineFacts, InlineFacts } from '../agents/inline-facts.ts';
import { interactionAgent } from '../agents/interaction.ts';
import { askIfPossible, authorship, byTemplate, mindField } from '../agents/mind.ts';
import { offersAgent } from '../agents/offers.ts';
import { actionsInWords, reasonWriter } from '../agents/reason-writer.ts';
import { salesIntelligenceAgent } from '../agents/sales-intelligence.ts';

const NextBestActionInput = Type.Object(
  {
    customerId: Type.Optional(
      Type.Unsafe<string>({ ...AnyId, 'x-flowstate-entity': 'customer', description: 'a stored customer' }),
    ),
    facts: Type.Optional(InlineFacts),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 50, default: 10, description: 'actions at most' })),
    asOf: Type.Optional(
      Type.Unsafe<string>({ ...Timestamp, description: 'the moment ages and spans are counted from; default now' }),
    ),
    ...mindField,
  },
  {
    additionalProperties: false,
    description:
      'A stored customer, or its facts inline (then no products are offered); with both, the inline facts count.',
    anyOf: [{ required: ['customerId'] }, { required: ['facts'] }],
  },
);

const NextBestAction = Type.Object(
  {
    customerId: Type.String(),
    asOf: Timestamp,
    ...BestActionsResult.properties,
    ...authorship,
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
  async (ctx, { customerId: stored, facts, limit = 10, asOf = ctx.now().toISOString(), mind = 'model' }) => {
    if (facts !== undefined) checkInlineFacts(facts);
    const customerId = facts?.customer.externalId ?? stored;
    if (customerId === undefined)
      throw new FlowstateError('invalid_input', 'input.customerId or input.facts is required');
    const about = { customerId, asOf };
    const [interaction, sales, { offers }] = await ctx.all([
      ctx.agent(interactionAgent, { ...about, ...(facts && { interactions: facts.interactions }) }),
      ctx.agent(salesIntelligenceAgent, {
        ...about,
        ...(facts && { opportunities: facts.opportunities }),
        ...(facts?.history && { history: facts.history }),
      }),
      facts === undefined ? ctx.agent(offersAgent, { customerId }) : Promise.resolve({ offers: [] }),
    ]);
    const ranked = await ctx.agent(bestActionsAgent, { ...about, limit, interaction, sales, offers });
    const { actions, claims } = ranked;
    if (actions.length === 0) return { ...about, ...ranked, ...byTemplate };
    const { answer, modelFailure } = await askIfPossible(mind, async () => {
      const written = await ctx.ask(reasonWriter, { actions, claims });
      if (written === null) return null;
      return ctx.step('reasons', () => actionsInWords(actions, written), { retry: { attempts: 1 } });
    });
    if (answer === null) return { ...about, ...ranked, ...byTemplate, modelFailure };
    return {
      ...about,
      ...ranked,
      actions: answer.actions,
      writtenBy: 'model' as const,
      dropped: answer.dropped,
      modelFailure,
    };
  },
);
