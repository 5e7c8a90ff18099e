import { FlowstateError, type SearchAnswer, type SearchHit, type SearchKind } from '@flowstate/contracts';
import type { SearchScope } from './search-scope.ts';

/** What was found of the collections of one model. */
export type Part = Pick<SearchAnswer, 'model' | 'items' | 'cache'>;

/**
 * What several models have found, as one answer: by rank, since their similarities say nothing about each other. Hybrid
 * scores are made of ranks already. Of nearness, a hit scores the highest similarity that any of the models has at its
 * rank, so that none comes first only because its similarities are high throughout.
 */
export function fuseParts(kind: SearchKind, parts: readonly Part[], limit: number): Part {
  const best = (rank: number) => Math.max(...parts.flatMap(({ items }) => items[rank]?.similarity ?? []));
  const items = parts.flatMap(({ model, items: found }) =>
    found.map((hit, rank) => {
      const score = kind === 'hybrid' ? (hit.score ?? 0) : best(rank);
      return { hit: { ...hit, score, model } satisfies SearchHit, rank };
    }),
  );
  // At equal ranks the model that is asked first comes first: sorting is stable.
  items.sort((a, b) => b.hit.score - a.hit.score || a.rank - b.rank);
  return {
    model: parts.map(({ model }) => model).join(', '),
    items: items.slice(0, limit).map(({ hit }) => hit),
    cache: parts.every(({ cache }) => cache === 'hit') ? 'hit' : 'miss',
  };
}

/**
 * Asks the collections of each model. One that cannot be asked fails the whole, since half an answer would pass for all
 * there is; the error says what can be searched meanwhile.
 */
export function askEach(scopes: readonly SearchScope[], ask: (scope: SearchScope) => Promise<Part>): Promise<Part[]> {
  return Promise.all(
    scopes.map((scope) =>
      ask(scope).catch((error: unknown) => {
        throw amongOthers(error, scope, scopes);
      }),
    ),
  );
}

function amongOthers(error: unknown, { model }: SearchScope, scopes: readonly SearchScope[]): unknown {
  if (!(error instanceof FlowstateError) || !['unavailable', 'timeout', 'upstream_failed'].includes(error.code)) {
    return error;
  }
  const others = scopes.flatMap((scope) => (scope.model === model ? [] : [scope.model]));
  const message = `${error.message} (model ${model}); meanwhile \`model\` ${others.join(' or ')} can be searched`;
  const { retryAfter } = error;
  return new FlowstateError(error.code, message, { cause: error, ...(retryAfter !== undefined && { retryAfter }) });
}
