import {
  ApiKeyInfo,
  FlowstateError,
  Id,
  IdParams,
  invalidInput,
  NewKeyAnswer,
  NewKeyBody,
  Page,
  pageQuery,
} from '@flowstate/contracts';
import { createApiKey } from '@flowstate/security';
import { listApiKeys, readUser, revokeApiKey } from '@flowstate/store';
import Type from 'typebox';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { readIdCursor, toPage } from '../list-page.ts';
import { recordedChange } from '../recorded-change.ts';

const tags = ['admin'];
const dayMs = 24 * 3600_000;

/** API keys of users and service accounts. A key is shown when it is made and never again. */
export function adminKeyRoutes(app: App, { sql, identity, audit }: Pick<Deps, 'sql' | 'identity' | 'audit'>): void {
  app.get(
    '/api/admin/keys',
    {
      schema: {
        tags,
        summary: 'API keys, newest first, ended ones too',
        querystring: Type.Object({ ...pageQuery, userId: Type.Optional(Id) }),
        response: { 200: Page(ApiKeyInfo) },
      },
    },
    async (request) => {
      const { limit = 50, cursor, userId } = request.query;
      const found = await listApiKeys(sql, { userId, before: readIdCursor(cursor), limit: limit + 1 });
      const items = found.map(({ prefix, createdAt, expiresAt, lastUsedAt, revokedAt, ...key }) => ({
        ...key,
        prefix: `fsk_${prefix}`,
        createdAt: createdAt.toISOString(),
        expiresAt: expiresAt?.toISOString() ?? null,
        lastUsedAt: lastUsedAt?.toISOString() ?? null,
        revokedAt: revokedAt?.toISOString() ?? null,
      }));
      return toPage(items, limit, ({ id }) => id);
    },
  );

  app.post(
    '/api/admin/keys',
    { schema: { tags, summary: 'Make an API key', body: NewKeyBody, response: { 201: NewKeyAnswer } } },
    async (request, reply) => {
      const { userId, name, scopes, expiresInDays } = request.body;
      if ((await readUser(sql, userId)) === null) {
        throw invalidInput([{ field: 'userId', message: 'is not the id of a user' }]);
      }
      const expiresAt = new Date(Date.now() + expiresInDays * dayMs);
      const { id, key, prefix } = await recordedChange({ sql, audit }, request, async (tx, record) => {
        const made = await createApiKey(tx, { userId, name, scopes, expiresAt });
        const details = { madeKey: made.id, prefix: made.prefix, scopes, expiresAt: expiresAt.toISOString() };
        await record({ action: 'key.created', subject: userId, details });
        return made;
      });
      reply.header('cache-control', 'no-store');
      return reply.code(201).send({ id, key, prefix: `fsk_${prefix}`, expiresAt: expiresAt.toISOString() });
    },
  );

  app.delete(
    '/api/admin/keys/:id',
    { schema: { tags, summary: 'End an API key', params: IdParams, response: { 204: Type.Null() } } },
    async (request, reply) => {
      const { id } = request.params;
      await recordedChange({ sql, audit }, request, async (tx, record) => {
        if (!(await revokeApiKey(tx, id))) throw new FlowstateError('not_found', `There is no live key ${id}`);
        await record({ action: 'key.revoked', subject: id });
      });
      await identity.policy.refresh();
      return reply.code(204).send(null);
    },
  );
}
