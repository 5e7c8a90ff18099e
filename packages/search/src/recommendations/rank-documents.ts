import type { Recommendation, SearchHit } from '@flowstate/contracts';
import type { OpinionTally } from './opinion-tally.ts';

type Found = Pick<SearchHit, 'id' | 'externalId' | 'collection' | 'title'>;
/** Documents about something that is recommended. */
export type DocumentsAbout = { action: Recommendation; hits: SearchHit[] };

/**
 * Documents that were called helpful, by the share of those who said so, and documents about recommended products: as
 * likely to help as the product, and as far as they are about it. Each once, with all its reasons.
 */
export function rankDocuments(
  known: readonly Found[],
  about: readonly DocumentsAbout[],
  opinions: OpinionTally,
): Recommendation[] {
  const ranked = new Map<string, Recommendation>();
  const add = (found: Found, score: number, reason: Recommendation['reasons'][number]) => {
    const { id, externalId, collection, title } = found;
    if (opinions.isRejected('document', id)) return;
    const before = ranked.get(id);
    ranked.set(id, {
      kind: 'document',
      item: id,
      title: title ?? externalId ?? id,
      score: Math.max(score, before?.score ?? 0),
      document: { id, externalId, collection, title },
      reasons: [...(before?.reasons ?? []), reason],
    });
  };

  for (const document of known) {
    const opinion = opinions.of('document', document.id);
    if (opinion !== null && opinion.helpful > 0) add(document, opinion.score, opinion.reason);
  }
  for (const { action, hits } of about) {
    const [{ customers, text } = { customers: [], text: '' }] = action.reasons;
    for (const hit of hits) {
      add(hit, action.score * Math.max(0, hit.score ?? hit.similarity), {
        kind: 'about-recommended-product',
        text: `about ${action.item} (similarity ${hit.similarity.toFixed(2)}): ${text}`,
        customers,
      });
    }
  }
  return [...ranked.values()].toSorted((a, b) => b.score - a.score);
}
