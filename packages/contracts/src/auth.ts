import Type, { type Static } from 'typebox';
import { NewPassword } from './admin.ts';
import { Id, Nullable, RoleName, Timestamp } from './schema.ts';
import type { Role } from './roles.ts';

export const LoginBody = Type.Object(
  { email: Type.String({ minLength: 3, maxLength: 254 }), password: Type.String({ minLength: 1, maxLength: 1024 }) },
  { additionalProperties: false },
);
export type LoginBody = Static<typeof LoginBody>;

export const TokenAnswer = Type.Object(
  {
    accessToken: Type.String(),
    refreshToken: Type.String(),
    expiresIn: Type.Integer({ description: 'seconds' }),
    sessionId: Id,
  },
  { $id: 'Tokens' },
);
export type TokenAnswer = Static<typeof TokenAnswer>;

export const RefreshBody = Type.Object(
  { refreshToken: Type.String({ minLength: 1, maxLength: 256 }) },
  { additionalProperties: false },
);
export type RefreshBody = Static<typeof RefreshBody>;

export const PasswordBody = Type.Object(
  {
    currentPassword: Type.String({ minLength: 1, maxLength: 1024 }),
    newPassword: NewPassword,
  },
  { additionalProperties: false },
);
export type PasswordBody = Static<typeof PasswordBody>;

/** One login of the caller. */
export const LoginSession = Type.Object(
  {
    id: Id,
    createdAt: Timestamp,
    lastSeenAt: Timestamp,
    expiresAt: Timestamp,
    userAgent: Nullable(Type.String()),
    address: Nullable(Type.String()),
    current: Type.Boolean({ description: 'The one this request came with' }),
  },
  { $id: 'LoginSession' },
);
export type LoginSession = Static<typeof LoginSession>;

/** Who is asking, as every handler sees it. */
export type Principal = {
  id: string;
  role: Role;
  /** How they proved it: a login session, an API key, or a run acting for its owner. */
  via: { session: string } | { apiKey: string; scopes: string[] } | { run: string };
  /** Policy epoch known when this was decided; a later one makes what it started be decided anew. */
  epoch?: number | undefined;
};

/** For whom something is read or written; it decides which collections there are. */
export type Viewer = Pick<Principal, 'id' | 'role'>;

export const Me = Type.Object({ id: Id, email: Type.String(), name: Type.String(), role: RoleName }, { $id: 'Me' });
export type Me = Static<typeof Me>;

/** What a worker asks for so that a run's agents may call the gateway. */
export const RunTokenBody = Type.Object(
  { runId: Id, incarnation: Type.Integer({ minimum: 1 }) },
  { additionalProperties: false },
);
export type RunTokenBody = Static<typeof RunTokenBody>;

export const RunTokenAnswer = Type.Object({ token: Type.String(), expiresIn: Type.Integer() });
export type RunTokenAnswer = Static<typeof RunTokenAnswer>;
