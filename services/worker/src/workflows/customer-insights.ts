import { AnyId, FlowstateError, Timestamp } from '@flowstate/contracts';
import { defineWorkflow } from '@flowstate/workflow';
import Type from 'typebox';
import { checkInlineFacts, InlineFacts } from '../agents/inline-facts.ts';
import { integrationAgent, IntegrationResult } from '../agents/integration.ts';
import { interactionAgent, InteractionResult } from '../agents/interaction.ts';
import { issuesOf } from '../agents/issues.ts';
import { knowledgeAgent, KnowledgeResult } from '../agents/knowledge.ts';
import { Audience } from '../agents/report-facts.ts';
import { Report, reportingAgent } from '../agents/reporting.ts';
import { salesIntelligenceAgent, SalesResult } from '../agents/sales-intelligence.ts';

const CustomerInsightsInput = Type.Object(
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
  {
    additionalProperties: false,
    description: 'A stored customer, or its facts inline; with both, the inline facts count.',
    anyOf: [{ required: ['customerId'] }, { required: ['facts'] }],
  },
);

const CustomerInsights = Type.Object(
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

/** What a team should know about one customer, with every number traceable to its rows. */
export const customerInsights = defineWorkflow(
  {
    name: 'customer-insights',
    version: '1',
    description: 'Sentiment, sales outlook, integration health and a briefing on one customer',
    input: CustomerInsightsInput,
    output: CustomerInsights,
  },
  async (ctx, { customerId: stored, facts, audience = 'executive', asOf = ctx.now().toISOString() }) => {
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
  },
);
