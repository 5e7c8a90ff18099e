import { rowsOf } from './evidence.ts';
import type { Audience, ReportFacts } from './report-facts.ts';
import { history, opportunities, outlook } from './report-business.ts';
import { mood } from './report-relationship.ts';
import { incidents } from './report-technology.ts';
import { figure, say, type Statement } from './statement.ts';

type Theme = 'mood' | 'service' | 'business' | 'technology';

const order: Record<Audience, readonly Theme[]> = {
  executive: ['business', 'mood', 'technology', 'service'],
  sales: ['business', 'mood', 'service', 'technology'],
  support: ['service', 'technology', 'mood', 'business'],
};
const shown = 6;
/** Silence that endangers what is open, in days. */
const silenceDays = 30;

/** What a reader should know if they read nothing else: first what is wrong, then what stands out, by audience. */
export function highlightsOf(facts: ReportFacts, audience: Audience): Statement[] {
  const found = [...warnings(facts), ...notes(facts)];
  const byTheme = order[audience].flatMap((theme) => found.filter((one) => one.theme === theme));
  // The sort is stable: themes stay in the audience's order within warnings and notes.
  const ranked = byTheme.toSorted((a, b) => Number(b.warning) - Number(a.warning));
  return ranked.slice(0, shown).map(({ text }) => text);
}

type Highlight = { theme: Theme; warning: boolean; text: Statement };

function warnings(facts: ReportFacts): Highlight[] {
  const { customerId, interaction, sales, integration } = facts;
  const found: Highlight[] = [];
  const warn = (theme: Theme, text: Statement | undefined) => {
    if (text !== undefined) found.push({ theme, warning: true, text });
  };
  const { last } = interaction.silence;
  if (last !== null && last.days > silenceDays && sales.pipeline.open > 0) {
    const silent = figure(
      'days since the last contact in either direction',
      last.days,
      'days',
      rowsOf('interaction', [last.id], customerId),
    );
    const open = figure(
      'open opportunities',
      sales.pipeline.open,
      'count',
      rowsOf('opportunity', sales.pipeline.ids, customerId),
    );
    warn('business', say`Silent for ${silent} while opportunities are open: ${open}.`);
  }
  if (interaction.sentiment.trend === 'worsening') warn('mood', mood(facts)[0]);
  for (const { action, priority, reason } of interaction.nextActions) {
    if (action === 'answer-question' && priority === 'high') {
      warn('service', say`${reason}.`);
      break;
    }
  }
  if (integration.incidents.length > 0) warn('technology', incidents(facts)[0]);
  return found;
}

function notes(facts: ReportFacts): Highlight[] {
  const { sentiment } = facts.interaction;
  const texts: [Theme, Statement | undefined][] = [
    ['business', outlook(facts)[0]],
    ['business', opportunities(facts)[0]],
    ['business', history(facts)[0]],
    ['mood', sentiment.trend === 'worsening' || sentiment.recent.mean === null ? undefined : mood(facts)[0]],
  ];
  return texts.flatMap(([theme, text]) => (text === undefined ? [] : [{ theme, warning: false, text }]));
}
