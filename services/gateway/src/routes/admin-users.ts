import {
  AdminUser,
  FlowstateError,
  Id,
  NewUserBody,
  Page,
  pageQuery,
  RoleName,
  UserChangeBody,
} from '@flowstate/contracts';
import { changeUserAccess, insertUser, listUsers, readUser, setPasswordHash, type User } from '@flowstate/store';
import Type from 'typebox';
import { principalOf } from '../access.ts';
import type { App, Deps } from '../deps.ts';
import { readIdCursor, toPage } from '../list-page.ts';

const tags = ['admin'];
const Params = Type.Object({ id: Id });
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
    { schema: { tags, summary: 'One user', params: Params, response: { 200: AdminUser } } },
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
      const user = await insertUser(sql, { ...rest, passwordHash });
      if (user === null) {
        throw new FlowstateError('conflict', 'There is a user with this email', {
          errors: [{ field: 'email', message: 'is taken' }],
        });
      }
      audit.record({
        action: 'user.created',
        actor: principalOf(request).id,
        subject: user.id,
        outcome: 'success',
        details: { role: user.role, password: passwordHash !== null },
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
        params: Params,
        body: UserChangeBody,
        response: { 200: AdminUser },
      },
    },
    async (request) => {
      const { id } = request.params;
      const { password, ...change } = request.body;
      const entry = { actor: principalOf(request).id, subject: id, action: 'user.changed' };
      await mustRead(id);
      try {
        const epoch = await changeUserAccess(sql, id, change);
        if (epoch !== null) policy.noteEpoch(epoch);
      } catch (error) {
        audit.record({ ...entry, outcome: 'denied', details: { ...change, why: (error as Error).message } });
        throw error;
      }
      if (password !== undefined) await setPasswordHash(sql, id, await passwords.hash(password));
      const sessionsEnded =
        password !== undefined || change.disabled === true ? await sessions.deleteUserSessions(id) : 0;
      const details = { ...change, ...(password !== undefined && { password: true }), sessionsEnded };
      audit.record({ ...entry, outcome: 'success', details });
      return shown(await mustRead(id));
    },
  );

  async function mustRead(id: string): Promise<User> {
    const user = await readUser(sql, id);
    if (user === null) throw new FlowstateError('not_found', `There is no user ${id}`);
    return user;
  }
}

function shown({ passwordHash, disabledAt, createdAt, ...user }: User): AdminUser {
  return {
    ...user,
    hasPassword: passwordHash !== null,
    disabledAt: disabledAt?.toISOString() ?? null,
    createdAt: createdAt.toISOString(),
  };
}
