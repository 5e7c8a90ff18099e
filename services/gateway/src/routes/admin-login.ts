import fastifyFormbody from '@fastify/formbody';
import { FlowstateError, LoginBody, type Role } from '@flowstate/contracts';
import type { LiveSession } from '@flowstate/security';
import { readUser } from '@flowstate/store';
import type { FastifyReply, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { principalOf } from '../access.ts';
import { authenticationFailed, type OnAuthFailure } from '../auth-failure.ts';
import { cookiePaths, isSameOrigin, needsSecureCookie, sessionCookie } from '../credentials.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import type { Login } from '../login.ts';
import { loginPage, logoutPage, sendPage } from '../pages.ts';
import { openRouteLimit } from '../rate-limits.ts';
import { accessLifetime, issueAccessToken } from '../tokens.ts';

/** Seconds: a working day. Within it the cookie is renewed while a page is open. */
const browserSessionLifetime = 12 * 3600;
const home = '/admin/queues';

const LoginQuery = Type.Object(
  { next: Type.Optional(Type.String({ maxLength: 512 })) },
  { additionalProperties: true },
);
const LoginForm = Type.Object({
  email: LoginBody.properties.email,
  password: LoginBody.properties.password,
  next: Type.Optional(Type.String({ maxLength: 512 })),
});

type Options = Pick<Deps, 'sql' | 'identity'> & {
  login: Login;
  /** Roles that have any use for the pages. */
  mayEnter: readonly Role[];
  onFailure: OnAuthFailure;
};

/** The login of browser pages: a plain form, answered with a cookie that only our own pages send. */
export function adminLoginRoutes(app: App, { sql, identity, login, mayEnter, onFailure }: Options): void {
  const schema = { hide: true };

  // Its own scope: nowhere else may a body be a form, which any page of the web could send.
  void app.register(async (plugin) => {
    const scope = plugin as App;
    await scope.register(fastifyFormbody, { bodyLimit: 16 * 1024 });

    scope.get('/admin/login', { schema: { ...schema, querystring: LoginQuery } }, async (request, reply) =>
      sendPage(reply, 200, loginPage({ next: safeNext(request.query.next) })),
    );

    scope.post(
      '/admin/login',
      { config: { rateLimit: openRouteLimit }, schema: { ...schema, body: LoginForm }, attachValidation: true },
      async (request, reply) => {
        // Else a foreign page could log its visitor in as somebody else.
        if (isSameOrigin(request) === false) throw authenticationFailed(request, 'origin', onFailure);
        if (request.validationError) {
          const refusal = 'Please fill in email and password.';
          return sendPage(reply, 400, loginPage({ next: home, refusal }));
        }
        app.signer.assertUsable();
        const { email, password } = request.body;
        const next = safeNext(request.body.next);
        try {
          const user = await login.prove(request, { email, password });
          if (!mayEnter.includes(user.role)) {
            return sendPage(
              reply,
              403,
              loginPage({ next, email, refusal: `The role ${user.role} has no pages here.` }),
            );
          }
          const { session } = await identity.sessions.open(
            {
              userId: user.id,
              passwordHash: user.passwordHash,
              lifetime: browserSessionLifetime,
              userAgent: request.headers['user-agent']?.slice(0, 256) ?? null,
              address: request.ip,
            },
            { refreshable: false },
          );
          setSessionCookie(app, request, reply, session, identity.policy.epoch() ?? 0);
          return reply.redirect(next, 303);
        } catch (error) {
          if (!(error instanceof FlowstateError) || !['invalid_credentials', 'rate_limited'].includes(error.code))
            throw error;
          if (error.retryAfter !== undefined) reply.header('retry-after', String(error.retryAfter));
          const wait = error.code === 'rate_limited';
          const refusal = wait ? 'Too many attempts. Please wait a few minutes.' : 'Email or password is wrong.';
          return sendPage(reply, wait ? 429 : 401, loginPage({ next, email, refusal }));
        }
      },
    );

    scope.get('/admin/logout', { schema }, async (request, reply) => {
      const { id, role } = principalOf(request);
      const user = await readUser(sql, id);
      return sendPage(reply, 200, logoutPage({ email: user?.email ?? id, role }));
    });

    scope.post('/admin/logout', { schema }, async (request, reply) => {
      const { id, via } = principalOf(request);
      if ('session' in via) await identity.sessions.revoke({ id: via.session, userId: id });
      for (const path of cookiePaths) reply.clearCookie(sessionCookie, { path });
      return reply.redirect('/admin/login', 303);
    });
  });
}

/** The cookie is an access token and lasts as long; the session behind it is checked on each request. */
export function setSessionCookie(
  app: App,
  request: FastifyRequest,
  reply: FastifyReply,
  session: Pick<LiveSession, 'id' | 'userId' | 'role'>,
  epoch: number,
): void {
  const token = issueAccessToken(app, session, epoch);
  for (const path of cookiePaths) {
    reply.setCookie(sessionCookie, token, {
      path,
      httpOnly: true,
      sameSite: 'strict',
      secure: needsSecureCookie(request),
      maxAge: accessLifetime,
    });
  }
}

/** Where to go after the login: only a page of the queues, never another site. */
function safeNext(next: string | undefined): string {
  return next !== undefined && /^\/admin\/queues(\/[\w-]+)*\/?(\?[\w=&%.-]*)?$/.test(next) ? next : home;
}
