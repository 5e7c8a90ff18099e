import { AdminSession, FlowstateError, Id, IdParams, Page, pageQuery, SessionReport } from '@flowstate/contracts';
import Type from 'typebox';
import { markAudited, operatorOf } from '../audit-trail.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { readIdCursor, toPage } from '../list-page.ts';
import { isRedisOutage } from '../redis-outage.ts';

const tags = ['admin'];
const User = Type.String({
  minLength: 1,
  maxLength: 254,
  pattern: '^[^\\x00-\\x1f]+$',
  description: "A user's id or email",
});
const Revoked = Type.Object({ userId: Id, revoked: Type.Integer() });

/** The logins of everybody: the runbook's session management. */
export function adminSessionRoutes(app: App, { sessionAdmin }: Pick<Deps, 'sessionAdmin'>): void {
  app.get(
    '/api/admin/sessions',
    {
      schema: {
        tags,
        summary: 'Live sessions, newest first',
        querystring: Type.Object({ ...pageQuery, user: Type.Optional(User) }),
        response: { 200: Page(AdminSession) },
      },
    },
    async (request) => {
      const { limit = 50, cursor, user } = request.query;
      const found = await sessionAdmin.list({ user, before: readIdCursor(cursor), limit: limit + 1 });
      const items = found.map((session) => ({
        ...session,
        createdAt: session.createdAt.toISOString(),
        lastSeenAt: session.lastSeenAt.toISOString(),
        expiresAt: session.expiresAt.toISOString(),
      }));
      return toPage(items, limit, ({ id }) => id);
    },
  );

  app.delete(
    '/api/admin/sessions/:id',
    { schema: { tags, summary: 'End one session', params: IdParams, response: { 200: Revoked } } },
    async (request) => {
      const { id } = request.params;
      const ended = await sessionAdmin.revoke(id, operatorOf(request));
      if (ended === null) throw new FlowstateError('not_found', `There is no live session ${id}`);
      markAudited(request);
      return { userId: ended.userId, revoked: 1 };
    },
  );

  app.delete(
    '/api/admin/sessions',
    {
      schema: {
        tags,
        summary: 'End all sessions of a user',
        querystring: Type.Object({ user: User }),
        response: { 200: Revoked },
      },
    },
    async (request) => {
      const answer = await sessionAdmin.revokeUser(request.query.user, operatorOf(request));
      markAudited(request);
      return answer;
    },
  );

  app.post(
    '/api/admin/sessions/verify',
    {
      config: { deadlineMs: 5 * 60_000 },
      schema: {
        tags,
        summary: 'Hold the copies in Redis against Postgres',
        querystring: Type.Object({ repair: Type.Optional(Type.Boolean({ default: false })) }),
        response: { 200: SessionReport },
      },
    },
    async (request) => {
      const { repair = false } = request.query;
      const report = await sessionAdmin.verify({ repair, by: operatorOf(request) }).catch((error: Error) => {
        if (!isRedisOutage(error)) throw error;
        throw new FlowstateError('unavailable', 'Redis, which has the copies, does not answer right now', {
          cause: error,
        });
      });
      markAudited(request);
      return report;
    },
  );
}
