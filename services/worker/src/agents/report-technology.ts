import { rowsOf } from './evidence.ts';
import type { ReportFacts } from './report-facts.ts';
import { figure, quote, quoted, say, type Statement } from './statement.ts';

const shown = 5;

/** State of the connections to the customer's systems, the worst first, with the reasons. */
export function integrations({ customerId, integration: { integrations: all } }: ReportFacts): Statement[] {
  if (all.length === 0) return [say`No integration is set up.`];
  return all.slice(0, shown).map(({ id, name, status, score, deductions }) => {
    if (score === null) return say`${quote(name)} is disabled.`;
    const health = figure(`health of ${quoted(name)}`, score, 'points', rowsOf('integration', [id], customerId));
    const state = say`${quote(name)} is ${status} (${health})`;
    return say`${deductions.reduce((text, { reason }) => say`${text}; ${reason}`, state)}.`;
  });
}

/** The ones that are not well, with the reasons. */
export function troubled(facts: ReportFacts): Statement[] {
  const unwell = facts.integration.integrations.filter(({ status }) => status === 'at-risk' || status === 'critical');
  if (unwell.length === 0) return [];
  return integrations({ ...facts, integration: { ...facts.integration, integrations: unwell } });
}

/** What is broken, since when. */
export function incidents({ integration }: ReportFacts): Statement[] {
  if (integration.incidents.length === 0) return [say`No incident is open.`];
  return integration.incidents.slice(0, shown).map(({ reason }) => say`${reason}.`);
}
