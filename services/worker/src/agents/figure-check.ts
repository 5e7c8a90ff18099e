import type { Claim } from './claims.ts';
import { formatFigure, numberTokens } from './figure-format.ts';
import { escapeMarkdown } from './markdown.ts';

type Known = { claims: readonly Claim[]; quotes: ReadonlySet<string>; days: ReadonlySet<string> };

/**
 * Throws when a number in the Markdown is not traceable. Line by line: what stands in “…” must be words that were
 * quoted, a date must be a known day, every other number must be written as a claim that the same line refers to.
 */
export function assertTraceable(markdown: string, { claims, quotes, days }: Known): void {
  const byId = new Map(claims.map((claim) => [claim.id, claim]));
  const escaped = new Set([...quotes].map(escapeMarkdown));
  markdown.split('\n').forEach((line, index) => {
    const refuse = (what: string): never => {
      throw new Error(`line ${index + 1} of the briefing holds ${what}`);
    };
    const written = new Set<string>();
    const rest = line
      .replaceAll(/“([^”]*)”/g, (_, words: string) => (escaped.has(words) ? ' ' : refuse(`unknown words: “${words}”`)))
      .replaceAll(/\[(c\d+)\]/g, (_, id: string) => {
        const claim = byId.get(id) ?? refuse(`a reference to nothing: ${id}`);
        for (const token of numberTokens(formatFigure(claim.value, claim.unit))) written.add(token);
        return ' ';
      })
      .replaceAll(/(?<!\d)\d{4}-\d{2}-\d{2}(?!\d)/g, (date) =>
        days.has(date) ? ' ' : refuse(`an unknown date: ${date}`),
      );
    for (const token of numberTokens(rest)) {
      if (!written.has(token)) refuse(`a number without a claim: ${token}`);
    }
  });
}
