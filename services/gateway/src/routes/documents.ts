import {
  AnyId,
  CollectionName,
  Document,
  EmbeddingsAnswer,
  EmbeddingsBody,
  FlowstateError,
  Id,
  invalidInput,
  Nullable,
  OneOf,
  Page,
  pageQuery,
  runStates,
  storableErrors,
} from '@flowstate/contracts';
import {
  deleteDocument,
  findDocument,
  findDocuments,
  listDocuments,
  storeEmbeddings,
  upsertDocuments,
} from '@flowstate/store';
import Type, { type Static } from 'typebox';
import { principalOf } from '../access.ts';
import type { App, Deps } from '../deps.ts';
import { DocumentsBody, maxBatch, readDocuments } from '../documents/document-batch.ts';
import { startIngest } from '../documents/start-ingest.ts';

const StoredDocuments = Type.Object({
  run: Nullable(
    Type.Object(
      { id: Id, state: OneOf(runStates) },
      { description: 'computes the embeddings; null when none had to be computed' },
    ),
  ),
  documents: Type.Array(
    Type.Object({
      id: Id,
      externalId: Nullable(Type.String()),
      status: OneOf(['inserted', 'updated', 'unchanged'] as const),
    }),
  ),
});
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
const uuid = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

/** Storing, reading and deleting documents; workers hand in embeddings here. */
export function documentRoutes(app: App, { sql, runs }: Pick<Deps, 'sql' | 'runs'>): void {
  const tags = ['documents'];

  app.post(
    '/api/documents',
    {
      schema: {
        tags,
        summary: 'Store documents',
        description:
          `One document, or up to ${maxBatch} as an array or under \`documents\`. Those with the external id of a stored ` +
          'one of the collection replace it. They can be read at once and are found by searches when the run has ended.',
        body: DocumentsBody,
        response: { 200: StoredDocuments, 202: StoredDocuments },
      },
      // The handler's own check names the row and field.
      validatorCompiler: () => () => true,
    },
    async (request, reply) => {
      const rows = readDocuments(request.body);
      const stored = await upsertDocuments(sql, rows);
      const [run] = await startIngest(runs, principalOf(request), stored);
      const documents = stored.map(({ id, externalId, status }) => ({ id, externalId, status }));
      if (run === undefined) return reply.code(200).send({ run: null, documents });
      reply.header('location', `/api/runs/${run.id}`);
      return reply.code(202).send({ run: { id: run.id, state: run.state }, documents });
    },
  );

  app.get(
    '/api/documents',
    { schema: { tags, summary: 'Documents, newest first', querystring: ListQuery, response: { 200: Page(Document) } } },
    async (request) => {
      const { ids, collection, cursor, limit = 50 } = request.query;
      if (ids !== undefined) return { items: await findDocuments(sql, readIds(ids)), nextCursor: null };
      if (cursor !== undefined && !uuid.test(cursor)) throw wrongQuery('cursor', 'is not a cursor of this list');
      const found = await listDocuments(sql, { collection, before: cursor, limit: limit + 1 });
      const items = found.slice(0, limit);
      return { items, nextCursor: found.length > limit ? (items.at(-1)?.id ?? null) : null };
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
    async (request) => mustFind(request.params.id, request.query),
  );

  app.delete(
    '/api/documents/:id',
    {
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
      const { id } = await mustFind(request.params.id, request.query);
      await deleteDocument(sql, id);
      return reply.code(204).send(null);
    },
  );

  app.put(
    '/api/documents/embeddings',
    {
      schema: {
        tags,
        summary: 'Hand in embeddings',
        description:
          'Each counts only for the content it was made from. All of a collection are of one model and dimension.',
        body: EmbeddingsBody,
        response: { 200: EmbeddingsAnswer },
      },
    },
    async (request) => storeEmbeddings(sql, request.body),
  );

  async function mustFind(id: string, { collection }: Static<typeof DocumentQuery>): Promise<Document> {
    // What cannot be stored cannot be there.
    const document = storableErrors(id, 'id').length > 0 ? null : await findDocument(sql, id, collection);
    if (document === null) throw new FlowstateError('not_found', 'There is no such document');
    return document;
  }
}

function readIds(list: string): string[] {
  const ids = list.split(',').filter((id) => id !== '');
  if (ids.length > maxIds) throw wrongQuery('ids', `must not be more than ${maxIds}`);
  const wrong = ids.find((id) => !uuid.test(id));
  if (wrong !== undefined) throw wrongQuery('ids', `has ${JSON.stringify(wrong)}, which is not an id`);
  return ids;
}

function wrongQuery(name: string, message: string): FlowstateError {
  return invalidInput([{ field: `querystring.${name}`, message }]);
}
