import { SearchAnswer, SearchBody } from '@flowstate/contracts';
import { principalOf } from '../access.ts';
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
          'Nearest first. `filter` must be contained in the metadata of what is found; without `collection` all that you ' +
          'see are searched. `cache` says whether the answer was computed just now or is a cached one that still holds.',
        body: SearchBody,
        response: { 200: SearchAnswer },
      },
    },
    async (request) => search.semantic(request.body, principalOf(request)),
  );
}
