import type { Objection } from '@flowstate/workflow';
import Type, { type Static } from 'typebox';
import { figureObjections } from '../guardrails/figures.ts';
import type { Known, KnownFigure } from '../guardrails/known-figures.ts';
import type { Claim, Sentence } from './claims.ts';
import { formatFigure, numberTokens } from './figure-format.ts';
import { oneLine } from './plain-text.ts';

/** A sentence as a model writes it. */
export const WrittenSentence = Type.Object(
  {
    text: Type.String({ minLength: 1, maxLength: 600, pattern: '\\S' }),
    claims: Type.Array(Type.String({ maxLength: 12 }), { maxItems: 16, description: 'ids of the claims it rests on' }),
  },
  { additionalProperties: false },
);
export type WrittenSentence = Static<typeof WrittenSentence>;

/** How sentences over claims are to be written: said to every model that writes some. */
export const narrativeRules = `Rules for every sentence:
- It may only say what the claims and the facts you were given say. List in "claims" the ids of all claims it rests on; a sentence that rests on none is left out.
- Write each number exactly as its claim writes it, with its unit, always in digits; compute, round and estimate nothing.
- Words of others, and names with digits in them, stand between “ and ”, exactly as the facts show them. Days are written as the facts write them.
- Plain text: no Markdown, no links, no claim ids within the text.`;

const quotation = /“([^”]*)”/g;
const reference = /\s*\[(c\d+)\]/g;

/** On one line; references that stand in the text are taken for what they are. */
export function tidied({ text, claims }: WrittenSentence): Sentence {
  const inText = [...text.matchAll(reference)].map(([, id]) => id as string);
  return { text: oneLine(text.replaceAll(reference, ''), 600), claims: [...new Set([...claims, ...inText])] };
}

/** What sentences may say: the figures of the claims, and the words and days that our own sentences show. */
export function knownOf(claims: readonly Claim[], ours: readonly Sentence[]): Known {
  const quotes = quotesIn(ours.map(({ text }) => text)).concat(quotesIn(claims.map(({ text }) => text)));
  const days = ours.flatMap(({ text }) => text.match(/(?<!\d)\d{4}-\d\d-\d\d(?!\d)/g) ?? []);
  return {
    figures: new Map(claims.map((claim) => [claim.id, knownFigure(claim)])),
    names: new Set(),
    days: new Set(days),
    texts: quotes,
    refused: new Map(),
  };
}

/** Its value, and what it is when it is written: sentiments of 0.0513 are written 0.05. */
function knownFigure({ value, unit }: Claim): KnownFigure {
  const [written = ''] = numberTokens(formatFigure(value, unit));
  const shown = (Number(written.replaceAll(',', '')) / (unit === 'ratio' ? 100 : 1)) * (value < 0 ? -1 : 1);
  // Points are out of a hundred.
  return { values: [value, shown, ...(unit === 'points' ? [100] : [])], percent: false };
}

/** Why sentences are not to be believed; none where each number is, as written, that of a claim its sentence cites. */
export function narrativeObjections(
  written: readonly WrittenSentence[],
  { claims, known, field }: { claims: readonly Claim[]; known: Known; field: string },
): Objection[] {
  const sentences = written.map(tidied);
  const byId = new Map(claims.map((claim) => [claim.id, claim]));
  const invented = sentences.flatMap(({ claims: ids }, index) =>
    ids.filter((id) => !byId.has(id)).map((id) => `${field}[${index}]: there is no claim ${id}`),
  );
  const objections = figureObjections(
    sentences.map(({ text, claims: cites }) => ({ text, cites })),
    known,
    field,
  );
  if (invented.length + objections.length > 0) return [...invented, ...objections];
  return sentences.flatMap(({ text, claims: ids }, index) => {
    const tokens = new Set(
      ids.flatMap((id) => {
        const claim = byId.get(id);
        return claim === undefined ? [] : numberTokens(formatFigure(claim.value, claim.unit));
      }),
    );
    const stray = numberTokens(withoutForeign(text, known)).find((token) => !tokens.has(token));
    return stray === undefined ? [] : [`${field}[${index}]: write ${stray} exactly as a claim you cite writes it`];
  });
}

/** Does it rest on anything? What neither cites nor quotes is an opinion. */
export function isSupported({ text, claims }: Sentence): boolean {
  return claims.length > 0 || quotesIn([text]).length > 0;
}

export function quotesIn(texts: readonly string[]): string[] {
  return texts.flatMap((text) => [...text.matchAll(quotation)].map(([, words]) => words as string));
}

function withoutForeign(text: string, { days }: Known): string {
  return [...days].reduce((rest, day) => rest.replaceAll(day, ' '), text.replaceAll(quotation, ' '));
}
