import Type, { type Static } from 'typebox';
import { Id, Nullable, OneOf, RoleName, Timestamp } from './schema.ts';

const Email = Type.String({
  minLength: 3,
  maxLength: 254,
  pattern: '^[^\\s@\\x00-\\x1f]+@[^\\s@\\x00-\\x1f]+$',
  description: 'Unique, in any case',
});
/** What Postgres cannot store, or a terminal would obey, is no part of a name. */
const Name = Type.String({ minLength: 1, maxLength: 200, pattern: '^[^\\x00-\\x1f]*$' });
/** NIST SP 800-63B: length counts, kinds of characters do not. */
export const NewPassword = Type.String({
  minLength: 12,
  maxLength: 1024,
  description: 'At least 12 characters, any kind',
});

/** A user as administrators see it; one without a password is a service account, which works by API keys. */
export const AdminUser = Type.Object(
  {
    id: Id,
    email: Type.String(),
    name: Type.String(),
    role: RoleName,
    hasPassword: Type.Boolean(),
    disabledAt: Nullable(Timestamp),
    containedAt: Nullable(Timestamp),
    createdAt: Timestamp,
  },
  { $id: 'AdminUser' },
);
export type AdminUser = Static<typeof AdminUser>;

export const NewUserBody = Type.Object(
  { email: Email, name: Name, role: RoleName, password: Type.Optional(NewPassword) },
  { additionalProperties: false },
);
export type NewUserBody = Static<typeof NewUserBody>;

export const UserChangeBody = Type.Object(
  {
    name: Type.Optional(Name),
    role: Type.Optional(RoleName),
    disabled: Type.Optional(Type.Boolean()),
    password: Type.Optional(NewPassword),
  },
  { additionalProperties: false, minProperties: 1 },
);
export type UserChangeBody = Static<typeof UserChangeBody>;

/** `api`: whatever its user's role may do; the others only what names them. */
export const apiKeyScopes = ['api', 'scaling:read'] as const;
export type ApiKeyScope = (typeof apiKeyScopes)[number];

export const ApiKeyInfo = Type.Object(
  {
    id: Id,
    prefix: Type.String({ description: 'How the key begins; the rest is known to its holder alone' }),
    userId: Id,
    user: Type.String(),
    name: Type.String(),
    scopes: Type.Array(Type.String()),
    createdAt: Timestamp,
    expiresAt: Nullable(Timestamp),
    lastUsedAt: Nullable(Timestamp),
    revokedAt: Nullable(Timestamp),
  },
  { $id: 'ApiKey' },
);
export type ApiKeyInfo = Static<typeof ApiKeyInfo>;

export const NewKeyBody = Type.Object(
  {
    userId: Id,
    name: Name,
    scopes: Type.Array(OneOf(apiKeyScopes), { minItems: 1, uniqueItems: true }),
    expiresInDays: Type.Integer({ minimum: 1, maximum: 366, default: 90 }),
  },
  { additionalProperties: false },
);
export type NewKeyBody = Static<typeof NewKeyBody>;

export const NewKeyAnswer = Type.Object(
  { id: Id, key: Type.String({ description: 'Shown this once' }), prefix: Type.String(), expiresAt: Timestamp },
  { $id: 'NewApiKey' },
);
export type NewKeyAnswer = Static<typeof NewKeyAnswer>;

/** A live login of anybody, as administrators see it. */
export const AdminSession = Type.Object(
  {
    id: Id,
    userId: Id,
    user: Type.String(),
    role: RoleName,
    createdAt: Timestamp,
    lastSeenAt: Timestamp,
    expiresAt: Timestamp,
    userAgent: Nullable(Type.String()),
    address: Nullable(Type.String()),
  },
  { $id: 'AdminSession' },
);
export type AdminSession = Static<typeof AdminSession>;

export const sessionFaults = ['orphaned', 'mismatched', 'revoked', 'expired'] as const;
export type SessionFault = (typeof sessionFaults)[number];

/** What Redis holds of sessions, held against Postgres. */
export const SessionReport = Type.Object(
  {
    copies: Type.Integer({ description: 'Session copies in Redis' }),
    indexed: Type.Integer({ description: "Entries of the users' indexes in Redis" }),
    sessions: Type.Integer({ description: 'Live sessions in Postgres' }),
    sound: Type.Boolean({ description: 'Nothing orphaned, mismatched or revoked; what only expired is no fault' }),
    counts: Type.Object({
      orphaned: Type.Integer({ description: 'Postgres knows no such session' }),
      mismatched: Type.Integer({ description: 'The two say different things, or the copy cannot be read' }),
      revoked: Type.Integer({ description: 'Ended in Postgres, still there in Redis' }),
      expired: Type.Integer({ description: 'Over, not yet tidied away' }),
    }),
    findings: Type.Array(
      Type.Object({
        fault: OneOf(sessionFaults),
        key: Type.String(),
        sessionId: Type.String(),
        userId: Nullable(Type.String()),
        detail: Type.String(),
      }),
      { description: 'The first 200' },
    ),
    repaired: Type.Integer({ description: 'Entries deleted from Redis; good sessions get their copy again' }),
  },
  { $id: 'SessionReport' },
);
export type SessionReport = Static<typeof SessionReport>;
