import fastifyCookie from '@fastify/cookie';
import fastifyJwt from '@fastify/jwt';
import { accessTokenSeconds, createCheck, FlowstateError, Id, RoleName } from '@flowstate/contracts';
import type { KeyRing, LiveSession } from '@flowstate/security';
import type { RunAuthority } from '@flowstate/store';
import type { FastifyRequest } from 'fastify';
import Type, { type Static } from 'typebox';
import type { App } from './gateway-app.ts';

/** Seconds. A run token is asked for again by its worker; a page's cookie is renewed while it is looked at. */
export const accessLifetime = accessTokenSeconds;
export const runLifetime = 5 * 60;

/** RFC 8725, 3.11: each kind says in its header what it is, so that one is never taken for the other. */
const accessType = 'at+jwt';
const runType = 'run+jwt';
/** Seconds another gateway's clock may be ahead. */
const leeway = 30;

const common = { sub: Id, role: RoleName, epoch: Type.Integer(), iat: Type.Integer(), exp: Type.Integer() };
const AccessClaims = Type.Object({ ...common, sid: Id });
const RunClaims = Type.Object({ ...common, run: Id, inc: Type.Integer() });
export type AccessClaims = Static<typeof AccessClaims>;
export type RunClaims = Static<typeof RunClaims>;

const checkAccess = createCheck(AccessClaims);
const checkRun = createCheck(RunClaims);

export type VerifiedToken = { kid: string; expiresAt: Date } & (
  | { kind: 'access'; claims: AccessClaims }
  | { kind: 'run'; claims: RunClaims }
);

/** Why a token is no good; bounded, it labels a metric. */
export type TokenRefusal =
  | 'malformed'
  | 'algorithm'
  | 'unknown_kid'
  | 'killed_kid'
  | 'signature'
  | 'expired'
  | 'not_yet_valid'
  | 'claims';

const unknownKid = 'FLOWSTATE_UNKNOWN_KID';
const killedKid = 'FLOWSTATE_KILLED_KID';

type Jwt = { header: { kid?: unknown; typ?: unknown }; payload: unknown };

declare module '@fastify/jwt' {
  interface FastifyJWT {
    user: Jwt;
  }
}

/** What is asked and told whenever this gateway signs a token. */
export type Signer = {
  /** Throws `unavailable` while nothing can be signed: with a killed key a token would be dead before it is used. */
  assertUsable(): void;
  /** A token was signed that lasts until then, in milliseconds since 1970. */
  noteSigned(expiresAt: number): void;
};

declare module 'fastify' {
  interface FastifyInstance {
    signer: Signer;
  }
}

/** Cookies, and JWTs signed by the ring's current key and verified by the one they name; HS256 only. */
export async function registerTokens(
  app: App,
  {
    ring,
    issuer,
    audience,
    extract,
    policyKnown,
    noteSigned,
  }: {
    ring: KeyRing;
    issuer: string;
    audience: string;
    /** Where a request carries its token. */
    extract: (request: FastifyRequest) => string | undefined;
    /** Is it known which keys are killed? */
    policyKnown: () => boolean;
    noteSigned: Signer['noteSigned'];
  },
): Promise<void> {
  app.decorateRequest('authority', null);
  app.decorate('signer', {
    assertUsable() {
      if (!policyKnown()) throw new FlowstateError('unavailable', 'It is not known yet which signing keys are good');
      if (!ring.isKilled(ring.current.kid)) return;
      throw new FlowstateError(
        'unavailable',
        `The signing key of this gateway (${ring.current.kid}) was killed: it needs a new JWT_SECRET and a restart`,
      );
    },
    noteSigned,
  });
  await app.register(fastifyCookie);
  await app.register(fastifyJwt, {
    secret: {
      private: ring.current.secret,
      public: (_request: FastifyRequest, token: unknown, done: (error: Error | null, secret?: string) => void) => {
        const { kid } = (token as Jwt).header;
        const key = typeof kid === 'string' ? ring.find(kid) : undefined;
        if (key !== undefined) return done(null, key.secret);
        const code = typeof kid === 'string' && ring.isKilled(kid) ? killedKid : unknownKid;
        done(Object.assign(new Error('the token names no key of ours'), { code }));
      },
    },
    decode: { complete: true },
    sign: {
      algorithm: 'HS256',
      kid: ring.current.kid,
      iss: issuer,
      aud: audience,
      expiresIn: accessLifetime,
      header: { alg: 'HS256', typ: accessType },
    },
    verify: {
      algorithms: ['HS256'],
      allowedIss: issuer,
      allowedAud: audience,
      requiredClaims: ['iss', 'aud', 'sub', 'iat', 'exp'],
      complete: true,
      extractToken: (request: FastifyRequest) => extract(request),
    },
  });
}

/** Verifies a request's token: signature, times, issuer, audience, kind and claims. */
export type VerifyToken = (request: FastifyRequest, raw: string) => Promise<VerifiedToken | TokenRefusal>;

const maxRemembered = 5_000;

/** Remembers good tokens until they expire, for as long as their key is in the ring: most requests bring a known one. */
export function createTokenVerifier(ring: KeyRing): VerifyToken {
  /** By signature: to hash all of a token takes longer than to compare it. */
  const known = new Map<string, { raw: string; token: VerifiedToken }>();

  return async (request, raw) => {
    const signature = raw.slice(raw.lastIndexOf('.') + 1);
    const remembered = known.get(signature);
    if (remembered?.raw === raw) {
      const { token } = remembered;
      if (token.expiresAt.getTime() > Date.now() && ring.find(token.kid) !== undefined) return token;
      known.delete(signature);
    }
    const token = await verifyToken(request);
    if (typeof token === 'string') return token;
    known.set(signature, { raw, token });
    if (known.size > maxRemembered) known.delete(known.keys().next().value as string);
    return token;
  };
}

async function verifyToken(request: FastifyRequest): Promise<VerifiedToken | TokenRefusal> {
  let token: Jwt;
  try {
    token = await request.jwtVerify<Jwt>();
  } catch (error) {
    return refusalOf(error as { code?: string; message: string });
  }
  try {
    const kid = token.header.kid as string;
    if (token.header.typ === accessType) return verified({ kind: 'access', kid, claims: checkAccess(token.payload) });
    if (token.header.typ === runType) return verified({ kind: 'run', kid, claims: checkRun(token.payload) });
    return 'claims';
  } catch {
    return 'claims';
  }
}

type Unchecked = { kid: string } & ({ kind: 'access'; claims: AccessClaims } | { kind: 'run'; claims: RunClaims });

function verified(token: Unchecked): VerifiedToken | TokenRefusal {
  const { iat, exp } = token.claims;
  if (iat > Date.now() / 1000 + leeway) return 'not_yet_valid';
  return { ...token, expiresAt: new Date(exp * 1000) };
}

function refusalOf({ code = '', message }: { code?: string; message: string }): TokenRefusal {
  // The plugin folds several causes into one code; only its message still tells them apart.
  if (code === 'FST_JWT_AUTHORIZATION_TOKEN_INVALID' && /claim/.test(message)) return 'claims';
  if (code === 'FST_JWT_AUTHORIZATION_TOKEN_INVALID' && /signature is invalid/.test(message)) return 'signature';
  return refusals[code] ?? 'malformed';
}

const refusals: Record<string, TokenRefusal> = {
  [unknownKid]: 'unknown_kid',
  [killedKid]: 'killed_kid',
  FST_JWT_AUTHORIZATION_TOKEN_EXPIRED: 'expired',
  FAST_JWT_INACTIVE: 'not_yet_valid',
  FAST_JWT_INVALID_ALGORITHM: 'algorithm',
  FAST_JWT_MISSING_SIGNATURE: 'signature',
  FAST_JWT_INVALID_CLAIM_TYPE: 'claims',
};

/** An access token for a session: `sub` the user, `sid` the session, `role` and `epoch` as of now. */
export function issueAccessToken(
  app: App,
  { id, userId, role }: Pick<LiveSession, 'id' | 'userId' | 'role'>,
  epoch: number,
): string {
  return sign(app, accessLifetime, () => app.jwt.sign({ sub: userId, sid: id, role, epoch }));
}

/** A token by which a worker's agents act for a run's owner; good while that incarnation owns the run. */
export function issueRunToken(app: App, run: { id: string; incarnation: number }, authority: RunAuthority): string {
  const { userId, role, epoch } = authority;
  return sign(app, runLifetime, () =>
    app.jwt.sign(
      { sub: userId, run: run.id, inc: run.incarnation, role, epoch },
      { expiresIn: runLifetime, header: { alg: 'HS256', typ: runType } },
    ),
  );
}

function sign(app: App, lifetime: number, make: () => string): string {
  app.signer.assertUsable();
  app.signer.noteSigned(Date.now() + lifetime * 1000);
  return make();
}
