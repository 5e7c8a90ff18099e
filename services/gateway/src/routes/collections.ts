import {
  CollectionBody,
  CollectionDetails,
  CollectionName,
  CollectionProgress,
  granteeKinds,
  invalidInput,
  isUuid,
  OneOf,
  Page,
  pageQuery,
  roles,
  type GranteeKind,
  type Viewer,
} from '@flowstate/contracts';
import {
  countAwaitingEmbedding,
  grantCollection,
  listCollections,
  NoCollectionError,
  removeCollection,
  revokeCollection,
  writeCollection,
  type Db,
} from '@flowstate/store';
import type { FastifyRequest } from 'fastify';
import Type, { type Static } from 'typebox';
import { principalOf } from '../access.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { readCursor, toPage } from '../list-page.ts';
import { recordedChange } from '../recorded-change.ts';

const Params = Type.Object({ name: CollectionName });
const GrantParams = Type.Object({
  name: CollectionName,
  kind: OneOf(granteeKinds),
  grantee: Type.String({ maxLength: 64, description: "A user's id or a role" }),
});
/** Collections of documents: whose they are, who sees them, how long their answers are cached. */
export function collectionRoutes(app: App, { sql, audit }: Pick<Deps, 'sql' | 'audit'>): void {
  const tags = ['collections'];

  app.get(
    '/api/collections',
    {
      schema: {
        tags,
        summary: 'Collections you see, newest first',
        description: 'Administrators know of all of them, but search and read only those they see like anybody else.',
        querystring: Type.Object(pageQuery),
        response: { 200: Page(CollectionDetails) },
      },
    },
    async (request) => {
      const { limit = 50, cursor } = request.query;
      const number = readCursor(cursor, /^\d{1,15}$/);
      const before = number === undefined ? undefined : Number(number);
      const found = await listCollections(sql, principalOf(request), { before, limit: limit + 1 });
      return toPage(found, limit, ({ number }) => String(number));
    },
  );

  app.get(
    '/api/collections/:name',
    {
      schema: {
        tags,
        summary: 'One collection, and how many of its documents are still to be embedded',
        params: Params,
        response: { 200: CollectionProgress },
      },
    },
    async (request) => {
      const { name } = request.params;
      const collection = await mustRead(sql, principalOf(request), name);
      return { ...collection, awaitingEmbedding: await countAwaitingEmbedding(sql, name) };
    },
  );

  app.put(
    '/api/collections/:name',
    {
      config: { search: 'changes' },
      schema: {
        tags,
        summary: 'Make a collection, or change its settings',
        description:
          'A new one is shared and yours unless the body says otherwise; of one that is there, what is not given stays. ' +
          'For its owner and administrators. From the answer on, whoever lost access finds nothing of it, cached or not.',
        params: Params,
        body: CollectionBody,
        response: { 200: CollectionDetails, 201: CollectionDetails },
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      const { created, collection } = await recordedChange({ sql, audit }, request, async (tx, record) => {
        const { created } = await writeCollection(tx, name, request.body, principalOf(request));
        await record({
          action: created ? 'collection.created' : 'collection.changed',
          subject: name,
          details: request.body,
        });
        return { created, collection: await readManaged(tx, request, name) };
      });
      if (created) reply.header('location', `/api/collections/${name}`);
      return reply.code(created ? 201 : 200).send(collection);
    },
  );

  app.delete(
    '/api/collections/:name',
    {
      config: { search: 'changes' },
      schema: {
        tags,
        summary: 'Delete a collection with all its documents',
        params: Params,
        response: { 200: Type.Object({ deleted: Type.Integer({ description: 'documents' }) }) },
      },
    },
    async (request) => {
      const { name } = request.params;
      const deleted = await recordedChange({ sql, audit }, request, async (tx, record) => {
        const documents = await removeCollection(tx, name, principalOf(request));
        await record({ action: 'collection.deleted', subject: name, details: { documents } });
        return documents;
      });
      return { deleted };
    },
  );

  app.put(
    '/api/collections/:name/grants/:kind/:grantee',
    {
      config: { search: 'changes' },
      schema: {
        tags,
        summary: 'Let a user, or all of a role, see a private collection',
        description: 'What they may do there follows from their role, as elsewhere.',
        params: GrantParams,
        response: { 200: CollectionDetails },
      },
    },
    async (request) => regrant(request, request.params, grantCollection, 'collection.granted'),
  );

  app.delete(
    '/api/collections/:name/grants/:kind/:grantee',
    {
      config: { search: 'changes' },
      schema: {
        tags,
        summary: 'Take it back',
        description: 'From the answer on they find nothing of it, cached or not, in any gateway.',
        params: GrantParams,
        response: { 200: CollectionDetails },
      },
    },
    async (request) => regrant(request, request.params, revokeCollection, 'collection.revoked'),
  );

  async function regrant(
    request: FastifyRequest,
    { name, kind, grantee }: Static<typeof GrantParams>,
    change: typeof grantCollection,
    action: string,
  ): Promise<CollectionDetails> {
    mustBeGrantee(kind, grantee);
    return await recordedChange({ sql, audit }, request, async (tx, record) => {
      const { changed } = await change(tx, { collection: name, kind, grantee }, principalOf(request));
      await record({ action, subject: name, details: { kind, grantee, changed } });
      return readManaged(tx, request, name);
    });
  }
}

async function mustRead(db: Db, viewer: Viewer, name: string): Promise<CollectionDetails> {
  const [collection] = await listCollections(db, viewer, { name, limit: 1 });
  if (collection === undefined) throw new NoCollectionError(name);
  return collection;
}

/** For who has just changed it: an owner who gave it away is told so too. */
async function readManaged(tx: Db, request: FastifyRequest, name: string): Promise<CollectionDetails> {
  return mustRead(tx, { ...principalOf(request), role: 'admin' }, name);
}

function mustBeGrantee(kind: GranteeKind, grantee: string): void {
  const known = kind === 'users' ? isUuid(grantee) : roles.some((role) => role === grantee);
  if (known) return;
  const message = kind === 'users' ? "is not a user's id" : `must be one of ${roles.join(', ')}`;
  throw invalidInput([{ field: 'params.grantee', message }]);
}
