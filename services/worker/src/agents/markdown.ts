import type { Sentence } from './claims.ts';
import { formatFigure } from './figure-format.ts';
import type { Kpi } from './report-kpis.ts';

export type Section = { id: string; title: string; items: Sentence[] };

/** Words of others so that they show as they are: no markup, no HTML, no links come out of them. */
export function escapeMarkdown(words: string): string {
  return words
    .replaceAll(/[\\`*_[\]~|$@]/g, String.raw`\$&`)
    .replaceAll(/(?<=\b(?:mailto|xmpp)):|:(?=\/\/)|(?<=\bwww)\./gi, String.raw`\$&`)
    .replaceAll(/&(?=#?\w+;)/g, '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;');
}

/** A sentence on one line with its claims behind it. Only what stands between “ and ” is not ours. */
function sentenceMarkdown({ text, claims }: Sentence): string {
  const safe = text.replaceAll(/“([^”]*)”/g, (_, words: string) => `“${escapeMarkdown(words)}”`);
  return [safe, ...claims.map((id) => `[${id}]`)].join(' ');
}

/** The briefing: title, key figures as a table, highlights and sections as lists. */
export function briefingMarkdown(parts: {
  title: Sentence;
  intro: Sentence;
  kpis: readonly Kpi[];
  highlights: readonly Sentence[];
  sections: readonly Section[];
}): string {
  const list = (items: readonly Sentence[]) => items.map((item) => `- ${sentenceMarkdown(item)}`);
  const lines = [
    `# ${sentenceMarkdown(parts.title)}`,
    '',
    sentenceMarkdown(parts.intro),
    '',
    '## Key figures',
    '',
    '| Figure | Now | Before | Trend | Compared |',
    '|---|---|---|---|---|',
    ...parts.kpis.map(kpiRow),
    '',
    '## Highlights',
    '',
    ...list(parts.highlights),
  ];
  for (const { title, items } of parts.sections) lines.push('', `## ${title}`, '', ...list(items));
  return `${lines.join('\n')}\n`;
}

function kpiRow({ label, unit, value, previous, claim, previousClaim, direction, better, basis }: Kpi): string {
  const cell = (number: number | null, id: string | null) =>
    number === null || id === null ? 'unknown' : `${formatFigure(number, unit)} [${id}]`;
  const trend = better === null ? direction : `${direction} (${better ? 'better' : 'worse'})`;
  return `| ${label} | ${cell(value, claim)} | ${cell(previous, previousClaim)} | ${trend} | ${basis} |`;
}
