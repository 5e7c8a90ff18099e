import type { DatasetCase } from '../dataset.ts';
import { objectsIn, valueAt } from '../pointer.ts';
import { gradeOf, shown, type Grade } from './grade.ts';

type Sentence = { text: string; claims: string[] };

/** Relative difference that is rounding, not another figure. */
const tolerance = 1e-6;

/**
 * Are the figures right? Each that the case names must be the expected one; and wherever the output has a sentence with
 * claims, every number in its words must be the figure of a claim that the same sentence cites. Written apart from the
 * guardrail that workers apply, so that a hole in that one is seen here.
 */
export function gradeFigures(output: unknown, { expect }: DatasetCase): Grade {
  const expected = Object.entries(expect?.figures ?? {}).map(([pointer, wanted]) => {
    const found = valueAt(output, pointer);
    return { ok: sameFigure(found, wanted), fault: `${pointer} is ${shown(found)}, not ${shown(wanted)}` };
  });
  return gradeOf([...expected, ...[...sentencesIn(output)].map((one) => checkSentence(one, claimsOf(output)))]);
}

function sameFigure(found: unknown, wanted: number | null): boolean {
  if (wanted === null || typeof found !== 'number') return found === wanted;
  return Math.abs(found - wanted) <= tolerance * Math.max(1, Math.abs(wanted));
}

function* sentencesIn(output: unknown): Generator<Sentence> {
  for (const { text, claims } of objectsIn(output)) {
    if (typeof text === 'string' && Array.isArray(claims)) yield { text, claims: claims.map(String) };
  }
}

/** Of each claim, the figure as it is written: what stands after the last colon of its text. */
function claimsOf(output: unknown): Map<string, string> {
  const claims = valueAt(output, '/claims');
  if (!Array.isArray(claims)) return new Map();
  return new Map(
    (claims as { id: unknown; text: unknown }[]).map(({ id, text }) => [
      String(id),
      String(text).split(': ').at(-1) ?? '',
    ]),
  );
}

function checkSentence({ text, claims }: Sentence, known: ReadonlyMap<string, string>): { ok: boolean; fault: string } {
  const unknown = claims.find((id) => !known.has(id));
  if (unknown !== undefined) return { ok: false, fault: `${shown(text)} cites ${unknown}, which is no claim` };
  const figures = new Set(claims.flatMap((id) => numbersIn(known.get(id) ?? '')));
  // Words of others and calendar days are nobody's computation.
  const own = text.replaceAll(/“[^”]*”/g, ' ').replaceAll(/(?<!\d)\d{4}-\d\d-\d\d(?!\d)/g, ' ');
  const stray = numbersIn(own).find((number) => !figures.has(number));
  return { ok: stray === undefined, fault: `${shown(text)} holds ${stray}, which none of its claims says` };
}

function numbersIn(text: string): string[] {
  return text.match(/\p{N}+(?:[.,]\p{N}+)*/gu) ?? [];
}
