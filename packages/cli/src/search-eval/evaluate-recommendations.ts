import type { Opportunity, RecommendationsAnswer } from '@flowstate/contracts';
import type { GatewayClient } from '../gateway-client.ts';
import { mapInOrder } from './evaluate-search.ts';
import { pastWins } from './past-wins.ts';

export type RecommenderQuality = {
  recommender: 'similar customers' | 'popularity';
  cases: number;
  /** Share of the cases in which the product that was won is among the first k, by k. */
  hitRate: Record<number, number>;
  /** Mean of one over its rank. */
  mrr: number;
};

/**
 * Looks back at won opportunities: what was recommended to the customer as of the day each was opened, and at which
 * rank was the product that was then won? Beside it the plain order by popularity of that day.
 */
export async function evaluateRecommendations(
  client: GatewayClient,
  { ks, cases }: { ks: readonly number[]; cases: number },
): Promise<RecommenderQuality[]> {
  const wins = pastWins(await allOpportunities(client)).slice(0, cases);
  const ranks = await mapInOrder(wins, 4, async ({ customer, product, at, byPopularity }) => {
    const json = { customerId: customer, kinds: ['action'], limit: 50, asOf: at };
    const { items } = await client.request<RecommendationsAnswer>('POST', '/api/search/recommendations', { json });
    return {
      similar: items.findIndex(({ item }) => item === product) + 1,
      popular: byPopularity.indexOf(product) + 1,
    };
  });
  return [
    qualityOf(
      'similar customers',
      ranks.map(({ similar }) => similar),
      ks,
    ),
    qualityOf(
      'popularity',
      ranks.map(({ popular }) => popular),
      ks,
    ),
  ];
}

/** `ranks` from 1; 0: not recommended. */
function qualityOf(
  recommender: RecommenderQuality['recommender'],
  ranks: readonly number[],
  ks: readonly number[],
): RecommenderQuality {
  const mean = (value: (rank: number) => number) =>
    ranks.length === 0 ? 0 : ranks.reduce((sum, rank) => sum + value(rank), 0) / ranks.length;
  return {
    recommender,
    cases: ranks.length,
    hitRate: Object.fromEntries(ks.map((k) => [k, mean((rank) => (rank > 0 && rank <= k ? 1 : 0))])),
    mrr: mean((rank) => (rank === 0 ? 0 : 1 / rank)),
  };
}

async function allOpportunities(client: GatewayClient): Promise<Opportunity[]> {
  const rows: Opportunity[] = [];
  for (let cursor: string | null | undefined; cursor !== null;) {
    const query = new URLSearchParams({ limit: '200', ...(cursor !== undefined && { cursor }) });
    const page = await client.request<{ items: Opportunity[]; nextCursor: string | null }>(
      'GET',
      `/api/opportunities?${query.toString()}`,
    );
    rows.push(...page.items);
    cursor = page.nextCursor;
  }
  return rows;
}
