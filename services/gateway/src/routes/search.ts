import { SearchAnswer, SemanticBody } from '@flowstate/contracts';
import type { App, Deps } from '../deps.ts';

/** Searching documents by meaning. */
export function searchRoutes(app: App, { search }: Pick<Deps, 'search'>): void {
  app.post(
    '/api/search/semantic',
    {
      schema: {
        tags: ['search'],
        summary: 'Documents nearest in meaning',
        description:
          'Nearest first. `filter` must be contained in the metadata of what is found; without `collection` all are ' +
          'searched. In place of `query` an `embedding` of their model may be given. `cache` says whether the answer was computed just now or is a cached one that still holds.',
        body: SemanticBody,
        response: { 200: SearchAnswer },
      },
    },
    // Every collection is open to all who may search.
    async (request) => search.semantic(request.body, { access: 'all' }),
  );
}
