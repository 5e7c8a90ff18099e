import {
  BaseRate,
  Customer,
  FlowstateError,
  Integration,
  Interaction,
  Opportunity,
  Page,
  RecommendationsAnswer,
  SearchAnswer,
  type HybridSearchBody,
  type SearchBody,
  type SearchHit,
} from '@flowstate/contracts';
import type { Backend } from '@flowstate/workflow';
import Type, { type TSchema } from 'typebox';

/** At most this many rows of one kind are read for one customer, the newest first. */
export const maxRows = 2_000;
const pageSize = 200;

type Rows<T> = { rows: T[]; /** There were more than `maxRows`. */ truncated: boolean };

/** The customer data agents work on, read through the gateway. Ids are ours or external ones. */
export type Crm = {
  customer(id: string): Promise<Customer>;
  interactions(customerId: string): Promise<Rows<Interaction>>;
  opportunities(customerId: string): Promise<Rows<Opportunity>>;
  integrations(customerId: string): Promise<Rows<Integration>>;
  baseRates(): Promise<BaseRate[]>;
  search(body: SearchBody): Promise<SearchHit[]>;
  /** By meaning and by words; each hit has the similarity of its meaning, too. */
  searchHybrid(body: HybridSearchBody): Promise<SearchHit[]>;
  /** Products that similar customers bought. */
  productsToOffer(customerId: string, limit: number): Promise<RecommendationsAnswer>;
};

const InteractionPage = Page(Interaction);
const OpportunityPage = Page(Opportunity);
const IntegrationPage = Page(Integration);
const BaseRates = Type.Object({ items: Type.Array(BaseRate) });

export function createCrm(backend: Backend, signal: AbortSignal): Crm {
  type Listing<T> = { items: T[]; nextCursor: string | null };
  async function all<T>(read: (query: { limit: number; cursor?: string }) => Promise<Listing<T>>): Promise<Rows<T>> {
    const rows: T[] = [];
    let cursor: string | undefined;
    do {
      const page = await read({ limit: pageSize, ...(cursor === undefined ? {} : { cursor }) });
      rows.push(...page.items);
      // A list that goes on without giving anything must not keep the run alive for ever.
      if (page.nextCursor !== null && (page.items.length === 0 || page.nextCursor === cursor)) {
        throw new FlowstateError('upstream_failed', 'a list names a next page but does not advance');
      }
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined && rows.length < maxRows);
    return { rows: rows.slice(0, maxRows), truncated: cursor !== undefined || rows.length > maxRows };
  }
  const get = <T extends TSchema>(operation: string, path: string, response: T, query = {}) =>
    backend({ operation, path, query, response }, signal);

  return {
    customer: async (id) => get('customers.get', customerPath(id), Customer),
    interactions: (id) =>
      all((query) => get('interactions.list', `${customerPath(id)}/interactions`, InteractionPage, query)),
    opportunities: (id) =>
      all((query) => get('opportunities.list', `${customerPath(id)}/opportunities`, OpportunityPage, query)),
    integrations: (id) =>
      all((query) => get('integrations.list', `${customerPath(id)}/integrations`, IntegrationPage, query)),
    async baseRates() {
      return (await get('opportunities.base-rates', '/api/opportunities/base-rates', BaseRates)).items;
    },
    async search(body) {
      const request = { operation: 'search.semantic', method: 'POST', path: '/api/search/semantic', body } as const;
      return (await backend({ ...request, response: SearchAnswer }, signal)).items;
    },
    async searchHybrid(body) {
      const request = { operation: 'search.hybrid', method: 'POST', path: '/api/search/hybrid', body } as const;
      return (await backend({ ...request, response: SearchAnswer }, signal)).items;
    },
    productsToOffer: async (customerId, limit) =>
      backend(
        {
          operation: 'recommendations.read',
          method: 'POST',
          path: '/api/search/recommendations',
          body: { customerId, kinds: ['action'], limit },
          response: RecommendationsAnswer,
        },
        signal,
      ),
  };
}

/** Path of one customer. Dots alone would be read as a step up the path however they are encoded. */
export function customerPath(id: string): string {
  if (id === '.' || id === '..') throw new FlowstateError('not_found', 'there is no such customer');
  return `/api/customers/${encodeURIComponent(id)}`;
}
