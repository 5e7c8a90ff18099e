import { FlowstateError, type Principal } from '@flowstate/contracts';
import { secretsEqual } from '@flowstate/runtime';
import { isApiKey, type Identity } from '@flowstate/security';
import type { FastifyRequest } from 'fastify';
import type { Authenticator } from './access.ts';
import type { AccessRules } from './access-rules.ts';
import { authenticationFailed, type AuthFailure, type OnAuthFailure } from './auth-failure.ts';
import { credentialOf, isPage, isSameOrigin } from './credentials.ts';
import type { AccessClaims, RunClaims, VerifyToken } from './tokens.ts';

type Options = {
  identity: Identity;
  verifyToken: VerifyToken;
  accessRules: Pick<AccessRules, 'mayRun'>;
  /** WORKER_API_KEY: what workers prove themselves with. */
  workerApiKey: string;
  /** Puts a run of a contained user in quarantine. */
  holdRun: (run: { id: string; userId: string }) => Promise<void>;
  onFailure: OnAuthFailure;
  /** Told the key id of every accepted token. */
  onVerified: (kid: string) => void;
};

/** Turns a request's credential into a principal: access token (session checked), API key, or run token. */
export function createAuthenticator({
  identity,
  verifyToken,
  accessRules,
  workerApiKey,
  holdRun,
  onFailure,
  onVerified,
}: Options): Authenticator {
  async function authenticate(request: FastifyRequest): Promise<Principal> {
    const refuse = (reason: AuthFailure, details?: { userId: string; sessionId?: string }) =>
      authenticationFailed(request, reason, onFailure, details);

    const credential = credentialOf(request);
    if (credential === undefined) throw refuse('missing');
    if (credential === 'malformed') throw refuse('malformed');
    const page = isPage(request.routeOptions.url ?? '');
    // A browser adds its cookie to whatever page made it ask; only our own pages may write.
    if (credential.from === 'cookie' && !['GET', 'HEAD'].includes(request.method) && isSameOrigin(request) !== true) {
      throw refuse('origin');
    }
    if (isApiKey(credential.value)) {
      if (page) throw refuse('wrong_kind');
      return authenticateApiKey(credential.value, refuse);
    }
    // A token is as good as its key, and which keys are killed is not known yet.
    if (identity.policy.appliedEpoch() === undefined) {
      throw new FlowstateError('unavailable', 'Access rules have not been read yet');
    }
    const token = await verifyToken(request, credential.value);
    if (typeof token === 'string') throw refuse(token);
    if (page && token.kind !== 'access') throw refuse('wrong_kind');
    const principal =
      token.kind === 'access' ? await ownerOfSession(token.claims, refuse) : await ownerOfRun(token.claims, refuse);
    onVerified(token.kid);
    request.authority = { expiresAt: token.expiresAt, kid: token.kid, cookie: credential.from === 'cookie' };
    return principal;
  }

  type Refuse = (reason: AuthFailure, details?: { userId: string; sessionId?: string }) => Error;

  /** The role is the user's role now, whatever the token was issued with. */
  async function ownerOfSession({ sub, sid }: AccessClaims, refuse: Refuse): Promise<Principal> {
    const details = { userId: sub, sessionId: sid };
    const epoch = identity.policy.appliedEpoch();
    const session = await identity.sessions.check(sid);
    if (typeof session === 'string') throw refuse(session, details);
    if (session.userId !== sub) throw refuse('session_mismatch', details);
    return { id: session.userId, role: session.role, via: { session: sid }, epoch };
  }

  async function ownerOfRun({ sub, run, inc }: RunClaims, refuse: Refuse): Promise<Principal> {
    const epoch = identity.policy.appliedEpoch();
    const authority = await identity.runAuthorities.recall(run);
    if (authority === null || authority.owner !== inc || authority.userId !== sub) {
      throw refuse('run_not_owned', { userId: sub });
    }
    // First: a refusal would end the run as failed.
    if (authority.userContained) await holdRun({ id: run, userId: sub });
    if (authority.userDisabled) throw refuse('user_disabled', { userId: sub });
    // A role that may not start such runs any more has none that go on.
    if (!accessRules.mayRun(authority.role, authority.workflow)) {
      throw new FlowstateError('forbidden', `The role ${authority.role} may not run ${authority.workflow}`);
    }
    return { id: sub, role: authority.role, via: { run }, epoch };
  }

  async function authenticateApiKey(value: string, refuse: Refuse): Promise<Principal> {
    const epoch = identity.policy.appliedEpoch();
    const key = await identity.apiKeys.check(value);
    if (typeof key === 'string') throw refuse(key);
    return { id: key.userId, role: key.role, via: { apiKey: key.id, scopes: key.scopes }, epoch };
  }

  return {
    authenticate,
    authenticateWorker(request) {
      const credential = credentialOf(request);
      if (typeof credential !== 'object' || !secretsEqual(credential.value, workerApiKey)) {
        throw authenticationFailed(request, 'worker_key', onFailure);
      }
    },
  };
}

declare module 'fastify' {
  interface FastifyRequest {
    /** What an accepted token allows besides: null on open routes and for API keys. */
    authority: { expiresAt: Date; kid: string; cookie: boolean } | null;
  }
}
