import Type, { type Static } from 'typebox';
import { Evidence } from './evidence.ts';
import { formatFigure, Unit } from './figure-format.ts';
import type { Figure, Source, Statement } from './statement.ts';

/** A number of the report, what it says, and the rows it was computed from. */
export const Claim = Type.Object(
  {
    id: Type.String({ pattern: '^c[1-9][0-9]*$', description: 'the text refers to it as [c3]' }),
    text: Type.String(),
    value: Type.Number(),
    unit: Unit,
    evidence: Evidence,
    from: Type.Optional(Type.Array(Type.String(), { description: 'claims this number was computed from, too' })),
  },
  { additionalProperties: false },
);
export type Claim = Static<typeof Claim>;

/** A sentence of the report and the claims behind its numbers, in their order. */
export const Sentence = Type.Object(
  { text: Type.String(), claims: Type.Array(Type.String()) },
  { additionalProperties: false },
);
export type Sentence = Static<typeof Sentence>;

export type ClaimBook = {
  readonly claims: readonly Claim[];
  /** Every word of others and every day that the report shows. */
  readonly quotes: ReadonlySet<string>;
  readonly days: ReadonlySet<string>;
  /** Id of the figure's claim; the same figure is the same claim. */
  claim(figure: Figure): string;
  sentence(statement: Statement): Sentence;
};

/** Collects the claims of one report, numbered in the order in which they are made. */
export function createClaimBook(): ClaimBook {
  const byFigure = new Map<string, Claim>();
  function add({ label, value, unit, evidence }: Source): Claim {
    const key = JSON.stringify([label, value, unit, evidence]);
    const known = byFigure.get(key);
    if (known !== undefined) return known;
    const text = `${label.charAt(0).toUpperCase()}${label.slice(1)}: ${formatFigure(value, unit)}`;
    const made = { id: `c${byFigure.size + 1}`, text, value, unit, evidence };
    byFigure.set(key, made);
    return made;
  }
  const quotes = new Set<string>();
  const days = new Set<string>();
  function claim(figure: Figure): string {
    const made = add(figure);
    if (figure.from.length > 0) made.from = figure.from.map((source) => add(source).id);
    return made.id;
  }
  return {
    get claims() {
      return [...byFigure.values()];
    },
    quotes,
    days,
    claim,
    sentence(statement) {
      for (const words of statement.quotes) quotes.add(words);
      for (const day of statement.days) days.add(day);
      return { text: statement.text, claims: [...new Set(statement.figures.map(claim))] };
    },
  };
}
