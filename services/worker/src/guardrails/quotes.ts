import type { Evidence, Objection } from '@flowstate/workflow';

/** Words that are said to stand in a document. */
export type Quote = { document: string; quote: string };

/** Shorter ones prove nothing: `the` stands in every document. */
const leastLetters = 8;

/**
 * Why the quotes prove nothing: the document is not among those that were retrieved (`documents`: texts by id), or the
 * words do not stand in it. White space may differ, nothing else.
 */
export function quoteObjections(
  quotes: readonly Quote[],
  documents: ReadonlyMap<string, string>,
  field = 'citations',
): Objection[] {
  return quotes.flatMap(({ document, quote }, index) => {
    const problem = problemOf(quote, documents.get(document));
    return problem === null ? [] : [`${field}[${index}]: ${problem.replace('…', document)}`];
  });
}

function problemOf(quote: string, text: string | undefined): string | null {
  if (text === undefined) return 'there is no document … among those found';
  if ((quote.match(/[\p{L}\p{N}]/gu) ?? []).length < leastLetters) return 'quote a whole phrase of …';
  return spaced(text).includes(spaced(quote)) ? null : 'these words do not stand in …';
}

function spaced(text: string): string {
  return text.normalize('NFC').replaceAll(/\s+/gu, ' ').trim();
}

/** The documents that `search_documents` gave, by id and by external id; of one that came twice all that was shown. */
export function retrievedDocuments(evidence: readonly Evidence[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const { tool, output } of evidence) {
    if (tool !== 'search_documents') continue;
    for (const { id, externalId, text } of (output as { documents: Retrieved[] }).documents) {
      for (const key of externalId === null ? [id] : [id, externalId]) {
        const shown = found.get(key);
        found.set(key, shown === undefined ? text : `${shown}\n\n${text}`);
      }
    }
  }
  return found;
}

type Retrieved = { id: string; externalId: string | null; text: string };
