import type { DatasetCase } from '../dataset.ts';
import { objectsIn } from '../pointer.ts';
import { gradeOf, shown, type Grade } from './grade.ts';

type Citation = { id?: string; documentId: string; externalId?: string | null; quote: string };
type Check = { ok: boolean; fault: string };

/** The text of a document as it is stored; null when there is none (any more). */
export type TextOf = (documentId: string) => Promise<string | null>;

/**
 * Do the citations hold? Each quote must stand in its document word for word; each sentence of an answer must cite, and
 * the numbers in it must stand in what it cites; and of the documents that the case expects one must be cited, or none
 * where it expects none.
 */
export async function gradeCitations(output: unknown, { expect }: DatasetCase, textOf: TextOf): Promise<Grade> {
  const citations = [...citationsIn(output)];
  const checks: Check[] = [];
  for (const { documentId, externalId, quote } of citations) {
    const text = await textOf(documentId);
    const fault = `${shown(quote)} does not stand in ${externalId ?? documentId}`;
    checks.push({ ok: text !== null && plain(text).includes(plain(quote)), fault });
  }
  for (const { text, citations: ids } of objectsIn(output)) {
    if (typeof text === 'string' && Array.isArray(ids)) checks.push(checkSentence(text, ids.map(String), citations));
  }
  if (expect?.cites !== undefined) checks.push(checkExpected(expect.cites, citations));
  return gradeOf(checks);
}

function* citationsIn(output: unknown): Generator<Citation> {
  for (const one of objectsIn(output)) {
    if (typeof one.documentId === 'string' && typeof one.quote === 'string') yield one as Citation;
  }
}

function checkSentence(text: string, ids: readonly string[], citations: readonly Citation[]): Check {
  const cited = citations.filter(({ id }) => id !== undefined && ids.includes(id));
  if (ids.length === 0) return { ok: false, fault: `${shown(text)} cites nothing` };
  if (cited.length < ids.length) return { ok: false, fault: `${shown(text)} cites what is no citation` };
  const quotes = cited.map(({ quote }) => quote).join('\n');
  const stray = (text.match(/\p{N}+(?:[.,]\p{N}+)*/gu) ?? []).find((number) => !quotes.includes(number));
  return { ok: stray === undefined, fault: `${shown(text)} holds ${stray}, which is in none of its quotes` };
}

function checkExpected(expected: readonly string[], citations: readonly Citation[]): Check {
  const cited = [...new Set(citations.map(({ externalId, documentId }) => externalId ?? documentId))];
  if (expected.length === 0)
    return { ok: cited.length === 0, fault: `cites ${cited.join()}, and nothing answers this` };
  const fault = `cites ${cited.join() || 'nothing'}, and none of ${expected.join()}`;
  return { ok: cited.some((id) => expected.includes(id)), fault };
}

/** White space apart, words are compared as they stand. */
function plain(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim();
}
