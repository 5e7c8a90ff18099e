import { AnyId, FlowstateError, Timestamp } from '@flowstate/contracts';
import { defineWorkflow, type WorkflowContext } from '@flowstate/workflow';
import Type, { type Static } from 'typebox';
import { briefingWriter, factsOf, reportInWords } from '../agents/briefing-writer.ts';
import { checkInlineFacts, InlineFacts } from '../agents/inline-facts.ts';
import { integrationAgent, IntegrationResult } from '../agents/integration.ts';
import { interactionAgent, InteractionResult } from '../agents/interaction.ts';
import { issuesOf } from '../agents/issues.ts';
import { knowledgeAgent, KnowledgeResult } from '../agents/knowledge.ts';
import { askIfPossible, authorship, byTemplate, mindField } from '../agents/mind.ts';
import { Audience } from '../agents/report-facts.ts';
import { Report, reportingAgent } from '../agents/reporting.ts';
import { salesIntelligenceAgent, SalesResult } from '../agents/sales-intelligence.ts';

const inputOptions = {
  additionalProperties: false,
  description: 'A stored customer, or its facts inline; with both, the inline facts count.',
  anyOf: [{ required: ['customerId'] }, { required: ['facts'] }],
};

const CustomerInsightsInputV1 = Type.Object(
  {
    customerId: Type.Optional(
      Type.Unsafe<string>({ ...AnyId, 'x-flowstate-entity': 'customer', description: 'a stored customer' }),
    ),
    facts: Type.Optional(InlineFacts),
    audience: Type.Optional(Type.Unsafe<Audience>({ ...Audience, default: 'executive' })),
    asOf: Type.Optional(
      Type.Unsafe<string>({ ...Timestamp, description: 'the moment ages and spans are counted from; default now' }),
    ),
  },
  inputOptions,
);
type CustomerInsightsInputV1 = Static<typeof CustomerInsightsInputV1>;

const CustomerInsightsV1 = Type.Object(
  {
    ...Report.properties,
    details: Type.Object(
      {
        interaction: InteractionResult,
        sales: SalesResult,
        integration: IntegrationResult,
        knowledge: KnowledgeResult,
      },
      { additionalProperties: false, description: 'what each agent found' },
    ),
  },
  { additionalProperties: false },
);

const CustomerInsights = Type.Object(
  {
    ...CustomerInsightsV1.properties,
    briefing: Type.Object(
      {
        ...Report.properties.briefing.properties,
        ...authorship,
      },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false },
);

const declaration = {
  name: 'customer-insights',
  description: 'Sentiment, sales outlook, integration health and a briefing on one customer',
};

/** Before briefings were written by models: carried so that runs which began with it come to their end. */
export const customerInsightsV1 = defineWorkflow(
  { ...declaration, version: '1', input: CustomerInsightsInputV1, output: CustomerInsightsV1 },
  gatherInsights,
);

/** What a team should know about one customer, with every number traceable to its rows. */
export const customerInsights = defineWorkflow(
  {
    ...declaration,
    version: '2',
    input: Type.Object({ ...CustomerInsightsInputV1.properties, ...mindField }, inputOptions),
    output: CustomerInsights,
  },
  async (ctx, { mind = 'model', ...input }) => {
    const { details, ...report } = await gatherInsights(ctx, input);
    const { answer, modelFailure } = await askIfPossible(mind, async () => {
      const written = await ctx.ask(briefingWriter, factsOf(report));
      if (written === null) return null;
      return ctx.step('briefing', () => reportInWords(report, written), { retry: { attempts: 1 } });
    });
    const { report: told, dropped } = answer ?? { report, dropped: 0 };
    const by =
      answer === null ? { ...byTemplate, modelFailure } : { writtenBy: 'model' as const, dropped, modelFailure };
    return { ...told, briefing: { ...told.briefing, ...by }, details };
  },
);

/** Everything computed, and a briefing over it by template. */
async function gatherInsights(
  ctx: WorkflowContext,
  { customerId: stored, facts, audience = 'executive', asOf = ctx.now().toISOString() }: CustomerInsightsInputV1,
): Promise<Static<typeof CustomerInsightsV1>> {
  if (facts !== undefined) checkInlineFacts(facts);
  const customerId = facts?.customer.externalId ?? stored;
  if (customerId === undefined)
    throw new FlowstateError('invalid_input', 'input.customerId or input.facts is required');
  const about = { customerId, asOf };

  const [[interaction, knowledge], sales, integration] = await ctx.all([
    (async () => {
      const read = await ctx.agent(interactionAgent, {
        ...about,
        ...(facts && { interactions: facts.interactions }),
      });
      return [read, await ctx.agent(knowledgeAgent, { issues: issuesOf(read) })] as const;
    })(),
    ctx.agent(salesIntelligenceAgent, {
      ...about,
      ...(facts && { opportunities: facts.opportunities }),
      ...(facts?.history && { history: facts.history }),
    }),
    ctx.agent(integrationAgent, { ...about, ...(facts && { integrations: facts.integrations }) }),
  ]);
  const details = { interaction, sales, integration, knowledge };
  const report = await ctx.agent(reportingAgent, {
    ...about,
    ...(facts && { customer: facts.customer }),
    audience,
    ...details,
  });
  return { ...report, details };
}
