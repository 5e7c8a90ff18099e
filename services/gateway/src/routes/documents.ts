import {
  AnyId,
  CollectionName,
  Document,
  EmbeddingsAnswer,
  EmbeddingsBody,
  FlowstateError,
  invalidInput,
  isUuid,
  Page,
  pageQuery,
  storableErrors,
} from '@flowstate/contracts';
import {
  deleteDocument,
  deleteMatchingDocuments,
  findDocument,
  findDocuments,
  listDocuments,
  NoCollectionError,
  storeEmbeddings,
} from '@flowstate/store';
import Type, { type Static } from 'typebox';
import type { FastifyRequest } from 'fastify';
import { principalOf } from '../access.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { readIdCursor, toPage } from '../list-page.ts';
import { checkLengths } from '../documents/model-dimensions.ts';
import { readFilter } from '../documents/query-filter.ts';

const maxIds = 200;
const ListQuery = Type.Object({
  ...pageQuery,
  collection: Type.Optional(CollectionName),
  ids: Type.Optional(
    Type.String({
      maxLength: maxIds * 37,
      description: `Up to ${maxIds} ids, comma-separated: only these, in one page`,
    }),
  ),
});
const DocumentParams = Type.Object({ id: AnyId });
const DocumentQuery = Type.Object({
  collection: Type.Optional(
    Type.Unsafe<string>({
      ...CollectionName,
      description: 'Where to look an external id up; needed if several know it',
    }),
  ),
});
const DeleteQuery = Type.Object({
  collection: CollectionName,
  filter: Type.String({
    maxLength: 8_192,
    description: 'JSON: what is contained in the metadata of the documents to delete',
    contentMediaType: 'application/json',
    contentSchema: Type.Object({}),
  }),
});
/** Reading and deleting documents; workers hand in embeddings here. */
export function documentRoutes(app: App, { sql, search }: Pick<Deps, 'sql' | 'search'>): void {
  const tags = ['documents'];

  app.get(
    '/api/documents',
    { schema: { tags, summary: 'Documents, newest first', querystring: ListQuery, response: { 200: Page(Document) } } },
    async (request) => {
      const { ids, collection, cursor, limit = 50 } = request.query;
      if (ids !== undefined)
        return { items: await findDocuments(sql, readIds(ids), principalOf(request)), nextCursor: null };
      const found = await listDocuments(sql, {
        collection,
        before: readIdCursor(cursor),
        limit: limit + 1,
        viewer: principalOf(request),
      });
      return toPage(found, limit, ({ id }) => id);
    },
  );

  app.get(
    '/api/documents/:id',
    {
      schema: {
        tags,
        summary: 'One document, by its id or external id',
        params: DocumentParams,
        querystring: DocumentQuery,
        response: { 200: Document },
      },
    },
    async (request) => mustFind(request),
  );

  app.delete(
    '/api/documents/:id',
    {
      config: { search: 'changes' },
      schema: {
        tags,
        summary: 'Delete a document',
        description: 'From this answer on no search finds it, cached or not.',
        params: DocumentParams,
        querystring: DocumentQuery,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      const { id } = await mustFind(request);
      await deleteDocument(sql, id, principalOf(request));
      return reply.code(204).send(null);
    },
  );

  app.delete(
    '/api/documents',
    {
      config: { search: 'changes' },
      schema: {
        tags,
        summary: 'Delete documents by their metadata',
        description: 'All of them or none. From this answer on no search finds them, cached or not.',
        querystring: DeleteQuery,
        response: { 200: Type.Object({ deleted: Type.Integer() }) },
      },
    },
    async (request) => {
      const { collection, filter } = request.query;
      const wanted = { collection, filter: readFilter(filter), viewer: principalOf(request) };
      try {
        return { deleted: await deleteMatchingDocuments(sql, wanted) };
      } catch (error) {
        throw error instanceof NoCollectionError ? new NoCollectionError(collection, 'querystring.collection') : error;
      }
    },
  );

  app.put(
    '/api/documents/embeddings',
    {
      config: { search: 'changes' },
      schema: {
        tags,
        summary: 'Hand in embeddings',
        description:
          'Each counts only for the content it was made from. All of a collection are of one model and dimension.',
        body: EmbeddingsBody,
        response: { 200: EmbeddingsAnswer },
      },
    },
    async (request) => {
      await checkLengths(search, request.body);
      return storeEmbeddings(sql, request.body, principalOf(request));
    },
  );

  async function mustFind(request: FastifyRequest): Promise<Document> {
    const { id } = request.params as Static<typeof DocumentParams>;
    const { collection } = request.query as Static<typeof DocumentQuery>;
    // What cannot be stored cannot be there.
    const storable = storableErrors(id, 'id').length === 0;
    const document = storable ? await findDocument(sql, id, collection, principalOf(request)) : null;
    if (document === null) throw new FlowstateError('not_found', 'There is no such document');
    return document;
  }
}

function readIds(list: string): string[] {
  const ids = list.split(',').filter((id) => id !== '');
  if (ids.length > maxIds) throw wrongQuery('ids', `must not be more than ${maxIds}`);
  const wrong = ids.find((id) => !isUuid(id));
  if (wrong !== undefined) throw wrongQuery('ids', `has ${JSON.stringify(wrong)}, which is not an id`);
  return ids;
}

function wrongQuery(name: string, message: string): FlowstateError {
  return invalidInput([{ field: `querystring.${name}`, message }]);
}
