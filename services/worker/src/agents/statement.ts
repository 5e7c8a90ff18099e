import Type, { type Static } from 'typebox';
import { Evidence } from './evidence.ts';
import { formatFigure, Unit } from './figure-format.ts';
import { oneLine } from './plain-text.ts';

/** A computed number, what it says and the rows it was computed from. */
export const Source = Type.Object(
  { label: Type.String(), value: Type.Number(), unit: Unit, evidence: Evidence },
  { additionalProperties: false },
);
export type Source = Static<typeof Source>;

/** A number to show, and the numbers it was computed from beside its own rows. */
export const Figure = Type.Object({ ...Source.properties, from: Type.Array(Source) }, { additionalProperties: false });
export type Figure = Static<typeof Figure>;

/** A sentence with everything in it that is not our own wording: figures, words of others (in “…”) and days. */
export const Statement = Type.Object(
  {
    text: Type.String(),
    figures: Type.Array(Figure),
    quotes: Type.Array(Type.String()),
    days: Type.Array(Type.String()),
  },
  { additionalProperties: false },
);
export type Statement = Static<typeof Statement>;

type Quote = { quote: string };
type Day = { day: string };

export function figure(
  label: string,
  value: number,
  unit: Unit,
  evidence: Evidence,
  from: readonly Source[] = [],
): Figure {
  return {
    label,
    value,
    unit,
    evidence,
    from: from.map(({ label, value, unit, evidence }) => ({ label, value, unit, evidence })),
  };
}

/** Somebody else's words, to be shown between “ and ”, which therefore cannot occur in them. */
export function quote(words: string, max = 160): Quote {
  return { quote: quotable(words, max) };
}

/** The same words for a label. */
export function quoted(words: string, max = 80): string {
  return `“${quotable(words, max)}”`;
}

function quotable(words: string, max: number): string {
  return oneLine(words.replaceAll(/[“”]/g, "'"), max);
}

/** A calendar day, `2026-03-31`. */
export function day(date: string): Day {
  if (!/^\d{4}-\d\d-\d\d$/.test(date)) throw new RangeError(`not a day: ${date}`);
  return { day: date };
}

/**
 * Builds a statement: ``say`Open for ${figure(…)}, like ${quote(name)}` ``. Our own words may hold no digit and no
 * quotation mark: a number that is not a figure, a quote or a day throws, here and not in front of a reader.
 */
export function say(words: TemplateStringsArray, ...parts: readonly (Figure | Quote | Day | Statement | string)[]) {
  const statement: Statement = { text: '', figures: [], quotes: [], days: [] };
  words.forEach((literal, index) => {
    statement.text += ownWords(literal);
    const part = parts[index];
    if (part !== undefined) append(statement, part);
  });
  return statement;
}

function append(statement: Statement, part: Figure | Quote | Day | Statement | string): void {
  if (typeof part === 'string') {
    statement.text += ownWords(part);
  } else if ('quote' in part) {
    statement.text += `“${part.quote}”`;
    statement.quotes.push(part.quote);
  } else if ('day' in part) {
    statement.text += part.day;
    statement.days.push(part.day);
  } else if ('text' in part) {
    statement.text += part.text;
    statement.figures.push(...part.figures);
    statement.quotes.push(...part.quotes);
    statement.days.push(...part.days);
  } else {
    statement.text += formatFigure(part.value, part.unit);
    statement.figures.push(part);
  }
}

function ownWords(words: string): string {
  if (/[\p{N}“”]/u.test(words)) throw new Error(`a number without evidence: ${words}`);
  return words;
}
