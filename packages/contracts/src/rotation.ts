import Type, { type Static } from 'typebox';
import { Nullable, OneOf, Reason, Timestamp } from './schema.ts';

/** Seconds an access token lasts; a run token ends sooner. A key is needed for so long after it last signed. */
export const accessTokenSeconds = 15 * 60;

/** `unheld`: on record, but no live gateway holds it. */
export const signingKeyStates = ['signing', 'verify-only', 'unheld', 'killed'] as const;

/** A key that signs or verifies tokens; `kid` names it and says nothing about the secret. */
export const SigningKeyInfo = Type.Object(
  {
    kid: Type.String(),
    state: OneOf(signingKeyStates),
    gateways: Type.Array(
      Type.Object({
        name: Type.String({ description: 'host:pid' }),
        signs: Type.Boolean({ description: 'Signs with it; else it only verifies' }),
        live: Type.Boolean(),
        seenAt: Timestamp,
      }),
    ),
    verifiedRecently: Type.Integer({ description: 'Tokens verified in the last ten minutes' }),
    lastVerifiedAt: Nullable(Timestamp),
    lastSignedAt: Nullable(Timestamp),
    tokensUntil: Nullable(Timestamp),
    killedAt: Nullable(Timestamp),
    safeToSign: Type.Boolean({ description: 'Every live gateway would accept its tokens' }),
    safeToRetire: Type.Boolean({ description: 'It can leave every gateway without a good token being refused' }),
    verdict: Type.String(),
    why: Type.Array(Type.String()),
  },
  { $id: 'SigningKey' },
);
export type SigningKeyInfo = Static<typeof SigningKeyInfo>;

export const SigningKeyReport = Type.Object(
  { gateways: Type.Integer({ description: 'Live ones' }), items: Type.Array(SigningKeyInfo) },
  { $id: 'SigningKeyReport' },
);
export type SigningKeyReport = Static<typeof SigningKeyReport>;

export const KillKeyBody = Type.Object(
  {
    reason: Reason,
    force: Type.Optional(Type.Boolean({ default: false, description: 'Even if no live gateway could sign any more' })),
  },
  { additionalProperties: false },
);
export type KillKeyBody = Static<typeof KillKeyBody>;

export const KillKeyAnswer = Type.Object(
  {
    kid: Type.String(),
    killedAt: Timestamp,
    disabled: Type.Array(Type.String(), { description: 'Gateways that sign nothing until they get another key' }),
  },
  { $id: 'KilledKey' },
);
export type KillKeyAnswer = Static<typeof KillKeyAnswer>;

export const secretStates = ['fresh', 'due-soon', 'over-age', 'unset'] as const;

export const SecretAge = Type.Object(
  {
    name: Type.String(),
    lastRotatedAt: Nullable(Timestamp),
    ageSeconds: Nullable(Type.Integer()),
    maxAgeDays: Type.Integer(),
    dueAt: Nullable(Timestamp),
    rotating: Type.Boolean({ description: 'Gateways use two values at the moment; the age is that of the older' }),
    state: OneOf(secretStates),
  },
  { $id: 'SecretAge' },
);
export type SecretAge = Static<typeof SecretAge>;

export const SecretMaxAgeBody = Type.Object(
  { maxAgeDays: Type.Integer({ minimum: 1, maximum: 3650 }) },
  { additionalProperties: false },
);
export type SecretMaxAgeBody = Static<typeof SecretMaxAgeBody>;

export const RehearsalReport = Type.Object(
  {
    at: Timestamp,
    passed: Type.Boolean(),
    checks: Type.Array(Type.Object({ name: Type.String(), ok: Type.Boolean(), evidence: Type.String() })),
  },
  { $id: 'RotationRehearsal' },
);
export type RehearsalReport = Static<typeof RehearsalReport>;
