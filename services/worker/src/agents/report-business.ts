import { rowsOf } from './evidence.ts';
import type { Forecast } from './forecast.ts';
import type { ReportFacts } from './report-facts.ts';
import { figure, quote, quoted, say, type Statement } from './statement.ts';

const shown = 5;

/** What the open opportunities are worth together. */
export function outlook({ customerId, sales: { pipeline } }: ReportFacts): Statement[] {
  if (pipeline.open === 0) return [say`No opportunity is open.`];
  const open = figure('open opportunities', pipeline.open, 'count', rowsOf('opportunity', pipeline.ids, customerId));
  if (pipeline.expectedValue === null) return [say`Open opportunities: ${open}; what they are worth is not known.`];
  const rows = rowsOf('opportunity', pipeline.valued, customerId);
  const expected = figure('expected value of open opportunities', pipeline.expectedValue, 'usd', rows);
  return [say`Open opportunities: ${open}, together worth ${expected} by the win rates of the past.`];
}

/** The open opportunities one by one, the most valuable first. */
export function opportunities({ sales }: ReportFacts): Statement[] {
  return sales.open.slice(0, shown).map((one) => {
    return say`${quote(one.name ?? one.externalId)} (${quote(one.product)}, stage ${quote(one.stage)}): ${worth(one)}.`;
  });
}

function worth(one: Forecast): Statement {
  const name = quoted(one.name ?? one.externalId);
  const evidence = { kind: 'opportunity' as const, ids: [one.id] };
  const probability =
    one.probability === null
      ? null
      : figure(`win probability of ${name}`, one.probability, 'ratio', evidence, one.basis);
  const chance = probability === null ? say`no win rate is known` : say`win probability ${probability}`;
  if (one.amount === null) return say`${chance}, no amount is known`;
  const amount = figure(`amount of ${name}`, one.amount.value, 'usd', one.amount.evidence);
  const priced = one.amount.estimated
    ? say`${chance}, estimated amount (${one.amount.source}) ${amount}`
    : say`${chance}, amount ${amount}`;
  if (one.expectedValue === null || probability === null) return priced;
  const expected = figure(`expected value of ${name}`, one.expectedValue, 'usd', evidence, [probability, amount]);
  return say`${priced}, expected value ${expected}`;
}

/** What speaks against the most valuable ones. */
export function risks({ sales }: ReportFacts): Statement[] {
  const found = sales.open
    .filter((one) => one.risks.length > 0)
    .slice(0, shown)
    .map((one) => say`${quote(one.name ?? one.externalId)}: ${joined(one.risks.map(({ reason }) => reason))}.`);
  return found.length > 0 || sales.open.length === 0 ? found : [say`Nothing speaks against the open opportunities.`];
}

/** What was won and lost before. */
export function history({ customerId, sales: { closed } }: ReportFacts): Statement[] {
  if (closed.winRate === null) return [say`No opportunity has been closed yet.`];
  const rows = (ids: readonly string[]) => rowsOf('opportunity', ids, customerId);
  const won = figure('won opportunities', closed.won, 'count', rows(closed.wonIds));
  const lost = figure('lost opportunities', closed.lost, 'count', rows(closed.lostIds));
  const rate = figure(
    'win rate of closed opportunities',
    closed.winRate,
    'ratio',
    rows([...closed.wonIds, ...closed.lostIds]),
  );
  const revenue = figure('revenue of won opportunities', closed.wonRevenue, 'usd', rows(closed.wonIds));
  return [say`Won: ${won}, lost: ${lost}, a win rate of ${rate}; won revenue ${revenue}.`];
}

function joined(statements: readonly Statement[]): Statement {
  return statements.reduce((all, one) => say`${all}; ${one}`);
}
