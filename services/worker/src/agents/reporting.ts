import { AnyId, CustomerInput, Nullable, Timestamp } from '@flowstate/contracts';
import { defineAgent } from '@flowstate/workflow';
import Type, { type Static } from 'typebox';
import { createCrm } from '../crm.ts';
import { Claim, createClaimBook, Sentence } from './claims.ts';
import { assertTraceable } from './figure-check.ts';
import { inlineRows } from './inline-facts.ts';
import { IntegrationResult } from './integration.ts';
import { InteractionResult } from './interaction.ts';
import { KnowledgeResult } from './knowledge.ts';
import { briefingMarkdown } from './markdown.ts';
import { Audience } from './report-facts.ts';
import { highlightsOf } from './report-highlights.ts';
import { Kpi, kpisOf } from './report-kpis.ts';
import { sectionsOf } from './report-sections.ts';
import { SalesResult } from './sales-intelligence.ts';
import { day, quote, say } from './statement.ts';
import { dayOf, timeOf } from './timestamps.ts';

const closed = { additionalProperties: false };

const ReportingAgentInput = Type.Object(
  {
    customerId: AnyId,
    customer: Type.Optional(CustomerInput),
    audience: Audience,
    asOf: Timestamp,
    interaction: InteractionResult,
    sales: SalesResult,
    integration: IntegrationResult,
    knowledge: KnowledgeResult,
  },
  closed,
);

export const Report = Type.Object(
  {
    customer: Type.Object(
      { id: Type.String(), externalId: Type.String(), name: Type.String(), segment: Nullable(Type.String()) },
      closed,
    ),
    audience: Audience,
    asOf: Timestamp,
    kpis: Type.Array(Kpi),
    highlights: Type.Array(Sentence),
    briefing: Type.Object(
      {
        title: Type.String(),
        sections: Type.Array(
          Type.Object({ id: Type.String(), title: Type.String(), items: Type.Array(Sentence) }, closed),
        ),
        markdown: Type.String({ description: 'the whole briefing; numbers refer to claims as [c3]' }),
      },
      closed,
    ),
    claims: Type.Array(Claim, { description: 'every number of the report with the rows it comes from' }),
  },
  closed,
);
export type Report = Static<typeof Report>;

/** Writes the report. Throws when a number in it cannot be traced to a claim: no report is better than a wrong one. */
export const reportingAgent = defineAgent({
  name: 'reporting',
  description: 'Key figures with trend, highlights and a briefing for the named audience, every number with evidence',
  input: ReportingAgentInput,
  output: Report,
  async run(ctx, { customerId, customer: given, audience, asOf, ...results }): Promise<Report> {
    const [inline] = given === undefined ? [] : inlineRows([given]);
    const customer = inline ?? (await createCrm(ctx.backend, ctx.signal).customer(customerId));
    const facts = { customerId, customer, ...results };
    const book = createClaimBook();
    const title = book.sentence(say`Customer insight: ${quote(customer.name)}`);
    const intro = book.sentence(say`For ${audience} readers, as of ${day(dayOf(timeOf(asOf)))}.`);
    const kpis = kpisOf(facts, book);
    const highlights = highlightsOf(facts, audience).map(book.sentence);
    const sections = sectionsOf(facts, audience).map(({ items, ...section }) => {
      return { ...section, items: items.map(book.sentence) };
    });
    const markdown = briefingMarkdown({ title, intro, kpis, highlights, sections });
    assertTraceable(markdown, book);
    const { id, externalId, name, segment = null } = customer;
    return {
      customer: { id, externalId, name, segment },
      audience,
      asOf,
      kpis,
      highlights,
      briefing: { title: title.text, sections, markdown },
      claims: [...book.claims],
    };
  },
});
