import { rowsOf } from './evidence.ts';
import { history, opportunities, outlook, risks } from './report-business.ts';
import type { Audience, ReportFacts } from './report-facts.ts';
import { contact, mood, questions, service, topics } from './report-relationship.ts';
import { incidents, integrations, troubled } from './report-technology.ts';
import { figure, say, type Statement } from './statement.ts';

export type SectionDraft = { id: string; title: string; items: Statement[] };

type Builder = (facts: ReportFacts) => Statement[];
type Plan = {
  id: string;
  title: string;
  of: readonly Builder[];
  /** Of each builder at most so many. */ most?: number;
};

/** What each audience reads, in its order: executives the whole in short, the others their own part in full. */
const plans: Record<Audience, readonly Plan[]> = {
  executive: [
    { id: 'situation', title: 'Situation', of: [mood, contact, incidents], most: 2 },
    { id: 'business', title: 'Business', of: [history, outlook, opportunities], most: 3 },
    { id: 'risks', title: 'Risks', of: [risks, troubled], most: 3 },
    { id: 'open-issues', title: 'Open issues', of: [questions], most: 3 },
  ],
  sales: [
    { id: 'pipeline', title: 'Pipeline', of: [outlook, opportunities] },
    { id: 'risks', title: 'Risks', of: [risks] },
    { id: 'history', title: 'History', of: [history] },
    { id: 'relationship', title: 'Relationship', of: [mood, contact, questions], most: 3 },
    { id: 'technology', title: 'Technology', of: [incidents], most: 3 },
  ],
  support: [
    { id: 'open-issues', title: 'Open questions and what answers them', of: [questions] },
    { id: 'topics', title: 'Topics', of: [topics] },
    { id: 'service', title: 'Service', of: [service, mood, contact] },
    { id: 'technology', title: 'Integrations', of: [integrations, incidents] },
    { id: 'business', title: 'Business', of: [outlook] },
  ],
};

/** The sections of a briefing for `audience`; what to do next and what the figures rest on come last for everybody. */
export function sectionsOf(facts: ReportFacts, audience: Audience): SectionDraft[] {
  const sections = plans[audience].map(({ id, title, of, most = Infinity }) => {
    return { id, title, items: of.flatMap((build) => build(facts).slice(0, most)) };
  });
  return [
    ...sections.filter(({ items }) => items.length > 0),
    { id: 'next-actions', title: 'Next actions', items: actions(facts) },
    ...[{ id: 'basis', title: 'Basis', items: basis(facts) }].filter(({ items }) => items.length > 0),
  ];
}

function actions({ interaction }: ReportFacts): Statement[] {
  const items = interaction.nextActions
    .slice(0, 5)
    .map(({ priority, reason }) => say`${reason} (${priority} priority).`);
  return items.length > 0 ? items : [say`Nothing is due.`];
}

/** What limits the figures. */
function basis({ customerId, interaction: { read, sentiment }, sales, integration }: ReportFacts): Statement[] {
  const items: Statement[] = [];
  if (read.truncated) {
    const limit = figure('newest interactions that were read', read.limit, 'count', read.evidence);
    items.push(say`There are more interactions than were read: the newest ${limit}.`);
  }
  if (sales.truncated) items.push(say`There are more opportunities than were read.`);
  if (integration.truncated) items.push(say`There are more integrations than were read.`);
  if (sentiment.unscored > 0) {
    const unscored = figure('messages without a sentiment', sentiment.unscored, 'count', read.evidence);
    items.push(say`Messages that are not English or hold no words, and therefore have no sentiment: ${unscored}.`);
  }
  if (sales.pipeline.estimated > 0) {
    const rows = rowsOf('opportunity', sales.pipeline.ids, customerId);
    const estimated = figure('open opportunities with an estimated amount', sales.pipeline.estimated, 'count', rows);
    items.push(say`Open opportunities whose amount is an estimate: ${estimated}.`);
  }
  if (sales.closed.wonWithoutAmount > 0) {
    const rows = rowsOf('opportunity', sales.closed.wonIds, customerId);
    const missing = figure('won opportunities without an amount', sales.closed.wonWithoutAmount, 'count', rows);
    items.push(say`Won opportunities without an amount, missing in the revenue: ${missing}.`);
  }
  return items;
}
