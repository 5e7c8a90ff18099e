import type { Embedder } from '@flowstate/models';
import { createQueryEmbeddings } from './query-embeddings.ts';
import type { SearchScope } from './search-scope.ts';

type Options = Omit<Parameters<typeof createQueryEmbeddings>[0], 'embedder'>;

/** The models that queries are embedded by here; of collections without embeddings, the first. */
export function createKnownModels([first, ...others]: [Embedder, ...Embedder[]], options: Options) {
  const embedders = new Map([first, ...others].map((each) => [each.model, each]));
  const queries = new Map(
    [...embedders].map(([model, embedder]) => [model, createQueryEmbeddings({ embedder, ...options })]),
  );

  return {
    known: [...embedders.keys()],
    first: first.model,
    /** Undefined for a model that is not known. */
    embed: ({ model, collections }: Pick<SearchScope, 'model' | 'collections'>, query: string) =>
      queries.get(model)?.of(query, collections[0]?.queryGeneration ?? 0),
    /** Null for a model that is not known, and for an endpoint's that has not answered yet. */
    knownDimensions: (model: string) => embedders.get(model)?.dimensions ?? null,
    /** Null for a model that is not known; an endpoint is asked if it must be. Throws what its embedder throws. */
    async dimensionsOf(model: string): Promise<number | null> {
      const known = embedders.get(model)?.dimensions ?? null;
      // However old: as long as collections hold its embeddings, they have the same.
      return known ?? (await queries.get(model)?.of('dimensions', 0))?.length ?? null;
    },
  };
}
