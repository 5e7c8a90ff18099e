import { createHash } from 'node:crypto';
import { FlowstateError, storableErrors } from '@flowstate/contracts';
import type { Audit, Identity } from '@flowstate/security';
import { findUserByEmail, type Sql, type User } from '@flowstate/store';
import { normalizeIP } from '@fastify/rate-limit';
import type { FastifyRequest } from 'fastify';
import type { AttemptCounter } from './attempts.ts';
import { authenticationFailed, type OnAuthFailure } from './auth-failure.ts';

export type Login = {
  /**
   * The user these credentials prove. An unknown user, a disabled one, one without a password and a wrong password
   * get the same answer after the same work. Throws `invalid_credentials`, `rate_limited`.
   */
  prove(request: FastifyRequest, credentials: { email: string; password: string }): Promise<User>;
  /** The same check for a user who is logged in already. */
  confirm(request: FastifyRequest, user: User, password: string): Promise<boolean>;
};

const windowMs = 5 * 60_000;
/** Attempts per window: guessing from one place, and guessing one account from many. */
const limits = { accountAtAddress: 10, account: 100 };

type Options = { sql: Sql; identity: Identity; attempts: AttemptCounter; audit: Audit; onFailure: OnAuthFailure };

export function createLogin({ sql, identity, attempts, audit, onFailure }: Options): Login {
  /** Counted before the password is looked at, so that guesses sent at once count too. Success wipes the slate. */
  async function throttle(request: FastifyRequest, account: string): Promise<() => Promise<unknown>> {
    const keys = [`login:${account}:${normalizeIP(request.ip)}`, `login:${account}`] as const;
    const [here, anywhere] = await Promise.all(keys.map((key) => attempts.hit(key, windowMs)));
    const exceeded = [
      ...(here !== undefined && here.current > limits.accountAtAddress ? [here.ttl] : []),
      ...(anywhere !== undefined && anywhere.current > limits.account ? [anywhere.ttl] : []),
    ];
    if (exceeded.length > 0) {
      authenticationFailed(request, 'throttled', onFailure);
      const retryAfter = Math.max(1, Math.ceil(Math.max(...exceeded) / 1000));
      throw new FlowstateError('rate_limited', 'Too many attempts; wait before the next one', { retryAfter });
    }
    return () => Promise.all(keys.map((key) => attempts.forget(key)));
  }

  return {
    async prove(request, { email, password }) {
      const succeed = await throttle(request, accountKey(email));
      const user = storableErrors(email, 'email').length > 0 ? null : await findUserByEmail(sql, email);
      const hash = user === null || user.disabledAt !== null || user.containedAt !== null ? null : user.passwordHash;
      if (!(await identity.passwords.verify(hash, password)) || user === null) {
        throw authenticationFailed(request, 'credentials', onFailure, user === null ? {} : { userId: user.id });
      }
      await succeed();
      const userAgent = request.headers['user-agent']?.slice(0, 256);
      // The address typed by somebody unknown is recorded nowhere: it may be a password in the wrong field.
      audit.record({
        action: 'auth.login',
        actor: user.id,
        outcome: 'success',
        details: { route: request.routeOptions.url, email: user.email, address: request.ip, userAgent },
      });
      return user;
    },
    async confirm(request, user, password) {
      const succeed = await throttle(request, accountKey(user.email));
      const right = await identity.passwords.verify(user.passwordHash, password);
      if (right) await succeed();
      else authenticationFailed(request, 'credentials', onFailure, { userId: user.id });
      return right;
    },
  };
}

/** Names an account without storing its address; spellings Postgres takes for one user are one. */
function accountKey(email: string): string {
  return createHash('sha256').update(email.normalize('NFKC').toLowerCase()).digest('base64url');
}
