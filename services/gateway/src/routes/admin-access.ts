import {
  AccessOverride,
  checkWebhookUrl,
  FlowstateError,
  IdParams,
  invalidInput,
  OverrideBody,
  Page,
  pageQuery,
  RoleName,
  RoleOwner,
  RoleOwnerBody,
  RouteAccess,
  WholeList,
} from '@flowstate/contracts';
import {
  insertOverride,
  listOverrides,
  listRoleOwners,
  putRoleOwner,
  releaseOverride,
  type StoredOverride,
} from '@flowstate/store';
import Type from 'typebox';
import { principalOf } from '../access.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { readIdCursor, toPage } from '../list-page.ts';
import { recordedChange } from '../recorded-change.ts';

const tags = ['admin'];
const ListQuery = Type.Object({
  ...pageQuery,
  all: Type.Optional(Type.Boolean({ description: 'Ended ones too' })),
});

/** Lockdowns, what they leave open, and who answers for each role. */
export function adminAccessRoutes(
  app: App,
  { sql, identity, accessRules, audit, config }: Pick<Deps, 'sql' | 'identity' | 'accessRules' | 'audit' | 'config'>,
): void {
  const shown = (override: StoredOverride): AccessOverride => ({
    id: override.id,
    target: override.target,
    routes: accessRules.covered(override.target),
    roles: override.roles,
    reason: override.reason,
    author: override.author,
    createdAt: override.createdAt.toISOString(),
    expiresAt: override.expiresAt.toISOString(),
    releasedAt: override.releasedAt?.toISOString() ?? null,
  });

  app.post(
    '/api/admin/access',
    {
      schema: {
        tags,
        summary: 'Lock routes down for a while',
        description: 'In force on every gateway within a second; running agents feel it at their next call',
        body: OverrideBody,
        response: { 201: AccessOverride },
      },
    },
    async (request, reply) => {
      const { target, roles, reason, seconds } = request.body;
      const { id: authorId } = principalOf(request);
      if (accessRules.covered(target).length === 0) {
        const message = 'is neither a permission nor a closed route: GET /api/admin/access/routes lists both';
        throw invalidInput([{ field: 'target', message }]);
      }
      if (accessRules.locksOutAdmin(target, roles)) {
        const message = 'must contain admin here, or nobody could end the lockdown: name a narrower target otherwise';
        throw invalidInput([{ field: 'roles', message }]);
      }
      const override = await recordedChange({ sql, audit }, request, async (tx, record) => {
        const made = await insertOverride(tx, { target, roles, reason, seconds, authorId });
        const details = { override: made.id, roles, reason, expiresAt: made.expiresAt.toISOString() };
        await record({ action: 'access.locked', subject: target, details });
        return made;
      });
      await identity.policy.refresh();
      return reply.code(201).send(shown(override));
    },
  );

  app.get(
    '/api/admin/access',
    {
      schema: { tags, summary: 'Lockdowns in force', querystring: ListQuery, response: { 200: Page(AccessOverride) } },
    },
    async (request) => {
      const { limit = 50, cursor, all = false } = request.query;
      const found = await listOverrides(sql, { all, before: readIdCursor(cursor), limit: limit + 1 });
      return toPage(found.map(shown), limit, ({ id }) => id);
    },
  );

  app.delete(
    '/api/admin/access/:id',
    {
      schema: {
        tags,
        summary: 'End a lockdown now',
        params: IdParams,
        response: { 200: AccessOverride },
      },
    },
    async (request) => {
      const { id } = request.params;
      const { id: releasedBy } = principalOf(request);
      const released = await recordedChange({ sql, audit }, request, async (tx, record) => {
        const ended = await releaseOverride(tx, { id, releasedBy });
        if (ended === null) throw new FlowstateError('not_found', `No lockdown ${id} is in force`);
        await record({ action: 'access.released', subject: ended.target, details: { override: id } });
        return ended;
      });
      await identity.policy.refresh();
      return shown(released);
    },
  );

  app.get(
    '/api/admin/access/routes',
    {
      schema: {
        tags,
        summary: 'Every route with the roles that may call it now',
        response: { 200: WholeList(RouteAccess) },
      },
    },
    async () => ({
      items: accessRules
        .table()
        .map(({ rule, ...row }) => ({ ...row, roles: typeof rule === 'string' ? rule : [...rule] })),
      nextCursor: null,
    }),
  );

  app.get(
    '/api/admin/access/owners',
    {
      schema: {
        tags,
        summary: 'Who in the business answers for each role',
        response: { 200: WholeList(RoleOwner) },
      },
    },
    async () => ({ items: await listRoleOwners(sql), nextCursor: null }),
  );

  app.put(
    '/api/admin/access/owners/:role',
    {
      schema: {
        tags,
        summary: 'Name who answers for a role',
        params: Type.Object({ role: RoleName }),
        body: RoleOwnerBody,
        response: { 200: RoleOwner },
      },
    },
    async (request) => {
      const { role } = request.params;
      const { owner, contact = null } = request.body;
      const { id: updatedBy } = principalOf(request);
      // Where one is named it will be told of incidents: better refused now than found wanting then.
      if (contact !== null && /^https?:/i.test(contact)) {
        checkWebhookUrl(contact, { allowPrivate: config.WEBHOOK_ALLOW_PRIVATE }, 'contact');
      }
      await recordedChange({ sql, audit }, request, async (tx, record) => {
        await putRoleOwner(tx, { role, owner, contact, updatedBy });
        await record({ action: 'access.owner_named', subject: role, details: { owner } });
      });
      return (await listRoleOwners(sql)).find((entry) => entry.role === role);
    },
  );
}
