import {
  FlowstateError,
  IdParams,
  invalidInput,
  LoginBody,
  LoginSession,
  Me,
  Page,
  pageQuery,
  PasswordBody,
  RefreshBody,
  TokenAnswer,
  type Principal,
} from '@flowstate/contracts';
import type { LiveSession } from '@flowstate/security';
import { listSessions, readUser, setPasswordHash } from '@flowstate/store';
import Type from 'typebox';
import { principalOf } from '../access.ts';
import { authenticationFailed, type OnAuthFailure } from '../auth-failure.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { readIdCursor, toPage } from '../list-page.ts';
import type { Login } from '../login.ts';
import { openRouteLimit } from '../rate-limits.ts';
import { accessLifetime, issueAccessToken } from '../tokens.ts';

/** Seconds after which a login must be repeated, however often its tokens were refreshed. */
const sessionLifetime = 30 * 24 * 3600;
const maxUserAgent = 256;

type Options = Pick<Deps, 'sql' | 'identity' | 'audit'> & { login: Login; onFailure: OnAuthFailure };

/** Logging in and out, and what a user may do about their own logins. */
export function authRoutes(app: App, { sql, identity, audit, login, onFailure }: Options): void {
  const tags = ['auth'];
  const { sessions, passwords, policy } = identity;

  function tokensFor(session: LiveSession, refreshToken: string): TokenAnswer {
    const accessToken = issueAccessToken(app, session, policy.epoch() ?? 0);
    return { accessToken, refreshToken, expiresIn: accessLifetime, sessionId: session.id };
  }

  app.post(
    '/api/auth/login',
    {
      config: { rateLimit: openRouteLimit },
      schema: { tags, summary: 'Log in', security: [], body: LoginBody, response: { 200: TokenAnswer } },
    },
    async (request, reply) => {
      app.signer.assertUsable();
      const user = await login.prove(request, request.body);
      const { session, refreshToken } = await sessions.open(
        {
          userId: user.id,
          passwordHash: user.passwordHash,
          lifetime: sessionLifetime,
          userAgent: request.headers['user-agent']?.slice(0, maxUserAgent) ?? null,
          address: request.ip,
        },
        { refreshable: true },
      );
      return reply.header('cache-control', 'no-store').send(tokensFor(session, refreshToken as string));
    },
  );

  app.post(
    '/api/auth/refresh',
    {
      config: { rateLimit: openRouteLimit },
      schema: {
        tags,
        summary: 'Trade a refresh token for new tokens, once; using it again ends the session',
        security: [],
        body: RefreshBody,
        response: { 200: TokenAnswer },
      },
    },
    async (request, reply) => {
      // Before the refresh token is spent: it is all that a client of a killed key has left.
      app.signer.assertUsable();
      const refreshed = await sessions.refresh(request.body.refreshToken);
      if ('refused' in refreshed) {
        const { refused, ...session } = refreshed;
        throw authenticationFailed(request, refused, onFailure, session);
      }
      const { id: session, userId: actor } = refreshed.session;
      const details = { session, address: request.ip };
      audit.record({ action: 'auth.refresh', actor, outcome: 'success', details });
      return reply.header('cache-control', 'no-store').send(tokensFor(refreshed.session, refreshed.refreshToken));
    },
  );

  app.post(
    '/api/auth/logout',
    { schema: { tags, summary: 'End the session of this token', response: { 204: Type.Null() } } },
    async (request, reply) => {
      const principal = principalOf(request);
      await sessions.revoke({ id: sessionOf(principal), userId: principal.id });
      return reply.code(204).send(null);
    },
  );

  app.get(
    '/api/auth/me',
    { schema: { tags, summary: 'Who this token is', response: { 200: Me } } },
    async (request) => {
      const { id, role } = principalOf(request);
      const user = await readUser(sql, id);
      if (user === null) throw new FlowstateError('not_found', 'This user is gone');
      return { id, email: user.email, name: user.name, role };
    },
  );

  app.post(
    '/api/auth/password',
    {
      schema: {
        tags,
        summary: 'Change the own password; ends all other sessions',
        body: PasswordBody,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      const principal = principalOf(request);
      const current = sessionOf(principal);
      const user = await readUser(sql, principal.id);
      if (user === null || !(await login.confirm(request, user, request.body.currentPassword))) {
        throw invalidInput([{ field: 'currentPassword', message: 'is wrong' }]);
      }
      await setPasswordHash(sql, user.id, await passwords.hash(request.body.newPassword));
      await sessions.deleteUserSessions(user.id, current);
      return reply.code(204).send(null);
    },
  );

  app.get(
    '/api/auth/sessions',
    {
      schema: {
        tags,
        summary: 'The own logins, newest first',
        querystring: Type.Object(pageQuery),
        response: { 200: Page(LoginSession) },
      },
    },
    async (request) => {
      const { id: userId, via } = principalOf(request);
      const { limit = 50, cursor } = request.query;
      const found = await listSessions(sql, { userId, before: readIdCursor(cursor), limit: limit + 1 });
      const items = found.map((session) => ({
        ...session,
        createdAt: session.createdAt.toISOString(),
        lastSeenAt: session.lastSeenAt.toISOString(),
        expiresAt: session.expiresAt.toISOString(),
        current: 'session' in via && via.session === session.id,
      }));
      return toPage(items, limit, ({ id }) => id);
    },
  );

  app.delete(
    '/api/auth/sessions/:id',
    { schema: { tags, summary: 'End one of the own logins', params: IdParams, response: { 204: Type.Null() } } },
    async (request, reply) => {
      const principal = principalOf(request);
      sessionOf(principal);
      const { id } = request.params;
      if (!(await sessions.revoke({ id, userId: principal.id }))) {
        throw new FlowstateError('not_found', `There is no session ${id}`);
      }
      return reply.code(204).send(null);
    },
  );
}

/** Logins are their owner's business: no API key, and no run acting for somebody, may change them. */
function sessionOf({ via }: Principal): string {
  if (!('session' in via)) throw new FlowstateError('forbidden', 'This needs a login session');
  return via.session;
}
