import type { Objection } from '@flowstate/workflow';
import type { Known, KnownFigure } from './known-figures.ts';

/** A sentence of an answer and the ids of what it rests on; `[id]` in its text counts as well. */
export type CitingSentence = { text: string; cites: readonly string[] };

const reference = /\[([\p{L}\p{N}_.:-]+)\]/gu;
const quoted = /“([^”]*)”|"([^"]*)"/gu;
const date = /(?<!\p{N})\p{N}{4}-\p{N}{2}-\p{N}{2}(?!\p{N})/gu;
const number = /\p{N}+(?:[.,]\p{N}+)*/gu;
const readable = /^(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?$/;
const scales: [RegExp, number][] = [
  [/^\s?(?:k|thousand)\b/i, 1e3],
  [/^\s?(?:m|mn|million)\b/i, 1e6],
  [/^\s?(?:b|bn|billion)\b/i, 1e9],
];
const percentSign = /^\s?(?:%|percent\b|per cent\b)/i;
const lessening =
  /\b(?:fell|fall|decreas|declin|drop|down|less|lower|below|reduc|lost|loss|shr[aiu]nk|behind|negative|minus)/i;
const inWords =
  /\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|(?:twen|thir|for|fif|six|seven|eigh|nine)ty|hundreds?|thousands?|millions?|billions?|dozens?|halves|half|halved|twice|thrice|(?:doubl|tripl|quadrupl)(?:ed|es|ing))\b/i;

/**
 * Why the figures of a text are not to be believed; none, where each equals one that its sentence cites, as written:
 * rounded to the digits shown, two of them at least. Days, names and quoted words must be on record.
 */
export function figureObjections(sentences: readonly CitingSentence[], known: Known, field = 'sentences'): Objection[] {
  return sentences.flatMap((sentence, index) =>
    problemsOf(sentence, known).map((problem) => `${field}[${index}]: ${problem}`),
  );
}

function problemsOf({ text, cites }: CitingSentence, known: Known): string[] {
  const problems: string[] = [];
  const cited = new Set([...cites, ...[...text.matchAll(reference)].map(([, id]) => id as string)]);
  const figures = [...cited].flatMap((id) => {
    const refusal = known.refused.get(id);
    if (refusal !== undefined) problems.push(`${id} ${refusal}`);
    return known.figures.get(id) ?? [];
  });
  let rest = text.replaceAll(reference, ' ').replaceAll(quoted, (_, curly?: string, straight?: string) => {
    const words = (curly ?? straight ?? '').trim();
    if (words !== '' && !known.texts.some((one) => one.includes(words))) problems.push(`nobody wrote “${words}”`);
    return ' ';
  });
  for (const name of [...known.names].toSorted((a, b) => b.length - a.length)) rest = withoutName(rest, name);
  rest = rest.replaceAll(date, (on) => {
    if (!known.days.has(on)) problems.push(`the day ${on} is not on record`);
    return ' ';
  });
  for (const written of rest.matchAll(number)) {
    const problem = problemWith(rest, written, figures);
    if (problem !== null) problems.push(problem);
  }
  const [word] = inWords.exec(withoutScales(rest)) ?? [];
  if (word !== undefined) problems.push(`“${word}” is a number: write it in digits and cite it`);
  return problems;
}

function problemWith(
  text: string,
  { 0: token, index }: RegExpExecArray,
  figures: readonly KnownFigure[],
): string | null {
  if (!readable.test(token)) return `${token} cannot be read: write numbers like 1,234.5`;
  const before = text.slice(0, index);
  const after = text.slice(index + token.length);
  const scale = scales.find(([pattern]) => pattern.test(after))?.[1] ?? 1;
  const negative = /(?<![\p{L}\p{N}])[-−]\s?\p{Sc}?$/u.test(before);
  const size = Number(token.replaceAll(',', ''));
  const digits = (token.split('.')[1] ?? '').length;
  const asPercent = percentSign.test(after);
  const isRough = token.replace(/^[0.,]+/, '').replaceAll(/\D/g, '').length < 2;
  const fits = ({ values, percent }: KnownFigure) =>
    values.some((value) => {
      const shown = asPercent && !percent ? value * 100 : value;
      const signed = negative ? -size : value < 0 && lessening.test(text) ? -size : size;
      return equals(signed * scale, shown, isRough ? 0 : 0.5 * 10 ** -digits * scale);
    });
  if (figures.some(fits)) return null;
  const cited = figures.map(({ values }) => values.join(' or ')).join(', ');
  return cited === '' ? `${token} cites no figure` : `${token} is not what it cites (${cited})`;
}

/** Is that the figure, but for what was rounded away after the last digit shown (`half` a unit of it)? */
function equals(written: number, figure: number, half: number): boolean {
  const slack = 1e-12 * Math.max(1, Math.abs(figure)); // what binary fractions are off by
  return Math.abs(written - figure) <= half + slack;
}

/** Whole words only: the name `A1` says nothing about `A12`. */
function withoutName(text: string, name: string): string {
  return text.replaceAll(new RegExp(`(?<![\\p{L}\\p{N}])${RegExp.escape(name)}(?![\\p{L}\\p{N}])`, 'gu'), ' ');
}

function withoutScales(text: string): string {
  return text.replaceAll(/(\p{N})\s?(?:thousand|million|billion)\b/giu, '$1');
}
