import {
  AnyId,
  HybridSearchBody,
  type Principal,
  SearchAnswer,
  SemanticBody,
  SimilarQuery,
} from '@flowstate/contracts';
import { answerBytes, type Asking } from '@flowstate/search';
import { NoCollectionError } from '@flowstate/store';
import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import { principalOf } from '../access.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { readFilter } from '../documents/query-filter.ts';

const tags = ['search'];
const answer = { 200: SearchAnswer };
/** Cached answers are bytes already: Fastify sends them as they are, though its types expect a text. */
const serializerCompiler = () => answerBytes as unknown as (answer: unknown) => string;
const narrowing =
  '`filter` must be contained in the metadata of what is found; without a collection all that you see are searched, ' +
  'those of several models each by its own, and what they find is fused by rank. ' +
  '`cache` says whether the answer was computed just now or is a cached one that still holds.';

/** Searching documents: by meaning, by meaning and words, and from a document on. */
export function searchRoutes(app: App, { search, admission }: Pick<Deps, 'search' | 'admission'>): void {
  const askingOf = (request: FastifyRequest, principal: Principal): Asking => ({
    ceilings: admission.searchCeilings(principal),
    epoch: request.searchEpoch,
  });

  app.post(
    '/api/search/semantic',
    {
      config: { search: 'reads' },
      schema: {
        tags,
        summary: 'Documents nearest in meaning',
        description: `Nearest first. In place of \`query\` an \`embedding\` of their model may be given. ${narrowing}`,
        body: SemanticBody,
        response: answer,
      },
      serializerCompiler,
    },
    async (request) => {
      const principal = principalOf(request);
      return search.semantic(request.body, principal, askingOf(request, principal));
    },
  );

  app.post(
    '/api/search/hybrid',
    {
      config: { search: 'reads' },
      schema: {
        tags,
        summary: 'Documents best by meaning and words together',
        description:
          'Best `score` first: weighted reciprocal rank fusion of the nearest in meaning, not below `threshold`, and of ' +
          `those that share the query’s words, however near. ${narrowing}`,
        body: HybridSearchBody,
        response: answer,
      },
      serializerCompiler,
    },
    async (request) => {
      const principal = principalOf(request);
      return search.hybrid(request.body, principal, askingOf(request, principal));
    },
  );

  app.get(
    '/api/search/similar/:documentId',
    {
      config: { search: 'reads' },
      schema: {
        tags,
        summary: 'Documents nearest in meaning to one that is there',
        description: `Nearest first, without itself; by its id or external id. 409 until it is embedded. ${narrowing}`,
        params: Type.Object({ documentId: AnyId }),
        querystring: SimilarQuery,
        response: answer,
      },
      serializerCompiler,
    },
    async (request) => {
      const { filter: json, ...query } = request.query;
      const principal = principalOf(request);
      const filter = json === undefined ? {} : readFilter(json);
      const asked = { ...query, filter };
      try {
        return await search.similar(request.params.documentId, asked, principal, askingOf(request, principal));
      } catch (error) {
        if (!(error instanceof NoCollectionError) || error.collection !== query.within) throw error;
        throw new NoCollectionError(error.collection, 'querystring.within');
      }
    },
  );
}
