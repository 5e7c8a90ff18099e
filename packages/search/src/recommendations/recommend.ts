import type { Recommendation, RecommendationsBody, SearchAnswer, SimilarCustomer, Viewer } from '@flowstate/contracts';
import {
  findDocuments,
  findSimilarCustomers,
  readOpinions,
  readPopularItems,
  readProductOutcomes,
  type Sql,
} from '@flowstate/store';
import { clamp } from '../ceilings.ts';
import type { Asking, Search } from '../search.ts';
import { tallyOpinions, type OpinionTally } from './opinion-tally.ts';
import { rankActions } from './rank-actions.ts';
import { rankDocuments, type DocumentsAbout } from './rank-documents.ts';

type Request = Pick<RecommendationsBody, 'kinds' | 'limit' | 'asOf'> & { customerId: string };
export type Recommended = {
  basis: 'similar-customers' | 'all-customers' | 'nothing';
  similar: SimilarCustomer[];
  items: Recommendation[];
  clamped?: NonNullable<SearchAnswer['clamped']>;
};

/** What helped customers like one, for whoever may read all customers. */
export type Recommender = {
  /** `customerId` is ours. Documents are those the viewer sees, ceilings those of searches. Throws what a search throws. */
  recommend(request: Request, viewer: Viewer, asking?: Asking): Promise<Recommended>;
};

/** Neighbours: more of them are less like the customer, fewer are chance. */
const neighbours = 20;
/** Products documents are looked up for, and documents for each. */
const lookedUp = { products: 3, documents: 3 };
/** Cosine similarity below which a document is about something else. */
const threshold = 0.3;

export function createRecommender({ sql, search }: { sql: Sql; search: Pick<Search, 'semantic'> }): Recommender {
  /** Documents that were called helpful, as far as they are still there for the viewer. */
  async function knownDocuments(opinions: OpinionTally, viewer: Viewer) {
    const ids = opinions.all().flatMap(({ kind, item, helpful }) => (kind === 'document' && helpful > 0 ? [item] : []));
    return ids.length === 0 ? [] : await findDocuments(sql, ids, viewer);
  }

  /** A product, in the words of what similar customers bought of it. */
  async function documentsAbout(
    action: Recommendation,
    viewer: Viewer,
    asking: Asking | undefined,
  ): Promise<DocumentsAbout> {
    const names = action.reasons.flatMap(({ customers }) =>
      customers.flatMap(({ opportunities }) => opportunities.flatMap(({ name }) => name ?? [])),
    );
    const query = [action.item, ...new Set(names)].slice(0, 1 + lookedUp.documents).join('; ');
    const { items } = await search.semantic({ query, limit: lookedUp.documents, threshold }, viewer, asking);
    return { action, hits: items };
  }

  return {
    async recommend({ customerId, kinds = ['action', 'document'], limit: asked = 10, asOf }, viewer, asking) {
      const { limit, clamped } = clamp({ threshold, limit: asked }, asking?.ceilings);
      const similar = await findSimilarCustomers(sql, { customerId, asOf, limit: neighbours });
      const ids = similar.map(({ id }) => id);
      const [outcomes, spoken, popular] = await Promise.all([
        readProductOutcomes(sql, { customerId, similar: ids, asOf }),
        readOpinions(sql, [customerId, ...ids], asOf),
        similar.length > 0 ? [] : readPopularItems(sql, { asOf, limit: neighbours }),
      ]);
      const opinions = tallyOpinions(spoken, { customerId, similar, popular });
      const actions = rankActions(outcomes, similar, opinions);
      const documents = kinds.includes('document')
        ? rankDocuments(
            await knownDocuments(opinions, viewer),
            await Promise.all(
              actions.slice(0, lookedUp.products).map((action) => documentsAbout(action, viewer, asking)),
            ),
            opinions,
          )
        : [];
      const items = [...(kinds.includes('action') ? actions : []), ...documents]
        .toSorted((a, b) => b.score - a.score)
        .slice(0, limit);
      const basis = items.length === 0 ? 'nothing' : similar.length === 0 ? 'all-customers' : 'similar-customers';
      return { basis, similar, items, ...(clamped && { clamped }) };
    },
  };
}
