import type { SearchAnswer } from '@flowstate/contracts';
import type { GatewayClient } from '../gateway-client.ts';
import type { LabelledQuery } from './labelled-queries.ts';
import { judgeRanking, type RankingQuality } from './ranking-quality.ts';

export const searchKinds = ['semantic', 'hybrid', 'exact'] as const;
export type SearchKind = (typeof searchKinds)[number];

export type QualityOfGroup = RankingQuality & {
  /** Their style; `all` over every query that has an answer. */
  group: string;
  queries: number;
};

export type SearchQuality = {
  kind: SearchKind;
  k: number;
  groups: QualityOfGroup[];
  /** Queries that no document answers, and for how many of them the search said so. */
  unanswerable: { queries: number; leftEmpty: number };
};

type Options = {
  kind: SearchKind;
  k: number;
  /** Further fields of every request. */
  fields: Record<string, unknown>;
};

const routes = {
  semantic: { path: '/api/search/semantic', fields: {} },
  hybrid: { path: '/api/search/hybrid', fields: {} },
  exact: { path: '/api/search/semantic', fields: { exact: true } },
} as const;
/** Requests under way at once. */
const concurrency = 4;

/** Asks every query through the API and judges the answers; throws `CommandError` when one is refused. */
export async function evaluateSearch(
  client: GatewayClient,
  queries: readonly LabelledQuery[],
  { kind, k, fields }: Options,
): Promise<SearchQuality> {
  const route = routes[kind];
  const answers = await mapInOrder(queries, concurrency, async ({ query, collection }) => {
    const json = { query, limit: k, ...(collection !== undefined && { collection }), ...route.fields, ...fields };
    const { items } = await client.request<SearchAnswer>('POST', route.path, { json });
    return items.map(({ id, externalId }) => externalId ?? id);
  });
  const judged = queries.flatMap(({ relevant, style }, i) =>
    Object.keys(relevant).length === 0 ? [] : [{ style, quality: judgeRanking(answers[i] ?? [], relevant, k) }],
  );
  const styles = [...new Set(judged.flatMap(({ style }) => style ?? []))];
  const empty = queries.flatMap(({ relevant }, i) =>
    Object.keys(relevant).length === 0 ? [answers[i]?.length === 0] : [],
  );
  return {
    kind,
    k,
    groups: [
      meanOf('all', judged),
      ...styles.map((group) =>
        meanOf(
          group,
          judged.filter(({ style }) => style === group),
        ),
      ),
    ],
    unanswerable: { queries: empty.length, leftEmpty: empty.filter(Boolean).length },
  };
}

function meanOf(group: string, judged: readonly { quality: RankingQuality }[]): QualityOfGroup {
  const mean = (figure: keyof RankingQuality) =>
    judged.length === 0 ? 0 : judged.reduce((sum, { quality }) => sum + quality[figure], 0) / judged.length;
  return {
    group,
    queries: judged.length,
    recall: mean('recall'),
    reciprocalRank: mean('reciprocalRank'),
    ndcg: mean('ndcg'),
  };
}

/** `work` on each item, at most `width` at a time; results in the items' order. */
export async function mapInOrder<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const rest = items.entries();
  const lane = async () => {
    for (const [i, item] of rest) results[i] = await work(item);
  };
  await Promise.all(Array.from({ length: width }, lane));
  return results;
}
