import {
  AdminUser,
  FlowstateError,
  IdParams,
  NewUserBody,
  Page,
  pageQuery,
  RoleName,
  UserChangeBody,
} from '@flowstate/contracts';
import {
  changeUserAccess,
  insertUser,
  listUsers,
  readUser,
  revokeUserSessions,
  setPasswordHash,
  type User,
} from '@flowstate/store';
import Type from 'typebox';
import { markAudited, operatorOf } from '../audit-trail.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { readIdCursor, toPage } from '../list-page.ts';
import { recordedChange } from '../recorded-change.ts';

const tags = ['admin'];
const ListQuery = Type.Object({
  ...pageQuery,
  role: Type.Optional(RoleName),
  email: Type.Optional(Type.String({ maxLength: 254, pattern: '^[^\\x00-\\x1f]+$' })),
});

/** People and service accounts. The last administrator who can log in stays one. */
export function adminUserRoutes(app: App, { sql, identity, audit }: Pick<Deps, 'sql' | 'identity' | 'audit'>): void {
  const { passwords, sessions, policy } = identity;

  app.get(
    '/api/admin/users',
    { schema: { tags, summary: 'Users, newest first', querystring: ListQuery, response: { 200: Page(AdminUser) } } },
    async (request) => {
      const { limit = 50, cursor, role, email } = request.query;
      const found = await listUsers(sql, { role, email, before: readIdCursor(cursor), limit: limit + 1 });
      return toPage(found.map(shown), limit, ({ id }) => id);
    },
  );

  app.get(
    '/api/admin/users/:id',
    { schema: { tags, summary: 'One user', params: IdParams, response: { 200: AdminUser } } },
    async (request) => shown(await mustRead(request.params.id)),
  );

  app.post(
    '/api/admin/users',
    {
      schema: {
        tags,
        summary: 'Add a user; without a password it is a service account, which works by API keys',
        body: NewUserBody,
        response: { 201: AdminUser },
      },
    },
    async (request, reply) => {
      const { password, ...rest } = request.body;
      const passwordHash = password === undefined ? null : await passwords.hash(password);
      const user = await recordedChange({ sql, audit }, request, async (tx, record) => {
        const user = await insertUser(tx, { ...rest, passwordHash });
        if (user === null) {
          throw new FlowstateError('conflict', 'There is a user with this email', {
            errors: [{ field: 'email', message: 'is taken' }],
          });
        }
        const details = { role: user.role, canLogIn: passwordHash !== null };
        await record({ action: 'user.created', subject: user.id, details });
        return user;
      });
      return reply.code(201).header('location', `/api/admin/users/${user.id}`).send(shown(user));
    },
  );

  app.patch(
    '/api/admin/users/:id',
    {
      schema: {
        tags,
        summary: 'Change role or name, disable, enable, set another password',
        description: 'Disabling and a new password end all sessions of the user; every gateway obeys within a second',
        params: IdParams,
        body: UserChangeBody,
        response: { 200: AdminUser },
      },
    },
    async (request) => {
      const { id } = request.params;
      const { password, ...change } = request.body;
      const entry = { subject: id, action: 'user.changed' };
      await mustRead(id);
      const hash = password === undefined ? undefined : await passwords.hash(password);
      try {
        const { epoch, ended } = await recordedChange({ sql, audit }, request, async (tx, record) => {
          const epoch = await changeUserAccess(tx, id, change);
          if (hash !== undefined) await setPasswordHash(tx, id, hash);
          const ended = hash !== undefined || change.disabled === true ? await revokeUserSessions(tx, id) : [];
          const details = { ...change, newPassword: hash !== undefined, sessionsEnded: ended.length };
          await record({ ...entry, details });
          return { epoch, ended };
        });
        if (epoch !== null) policy.noteEpoch(epoch);
        await sessions.forget(id, ended);
      } catch (error) {
        const { id: actor, details: by } = operatorOf(request);
        const details = { ...change, why: (error as Error).message, ...by };
        audit.record({ ...entry, actor, outcome: 'denied', details });
        markAudited(request);
        throw error;
      }
      return shown(await mustRead(id));
    },
  );

  async function mustRead(id: string): Promise<User> {
    const user = await readUser(sql, id);
    if (user === null) throw new FlowstateError('not_found', `There is no user ${id}`);
    return user;
  }
}

function shown({ passwordHash, disabledAt, containedAt, createdAt, ...user }: User): AdminUser {
  return {
    ...user,
    hasPassword: passwordHash !== null,
    disabledAt: disabledAt?.toISOString() ?? null,
    containedAt: containedAt?.toISOString() ?? null,
    createdAt: createdAt.toISOString(),
  };
}
