import Type, { type Static } from 'typebox';
import { Id, Nullable, OneOf, OverrideSeconds, Reason, RoleName, Timestamp } from './schema.ts';
import { roles } from './roles.ts';

/** A lockdown: for a while, only `roles` keep what the access table gives them. */
export const OverrideBody = Type.Object(
  {
    target: Type.String({
      minLength: 1,
      maxLength: 255,
      description: 'A permission (`runs:operate`), a route (`POST /api/documents`), or all below one (`* /api/runs/*`)',
    }),
    roles: Type.Array(RoleName, { uniqueItems: true, description: 'Who keeps access; nobody gains any' }),
    reason: Reason,
    seconds: OverrideSeconds,
  },
  { additionalProperties: false },
);
export type OverrideBody = Static<typeof OverrideBody>;

export const AccessOverride = Type.Object(
  {
    id: Id,
    target: Type.String(),
    routes: Type.Array(Type.String(), { description: 'What it covers' }),
    roles: Type.Array(RoleName),
    reason: Type.String(),
    author: Type.String(),
    createdAt: Timestamp,
    expiresAt: Timestamp,
    releasedAt: Nullable(Timestamp),
  },
  { $id: 'AccessOverride' },
);
export type AccessOverride = Static<typeof AccessOverride>;

/** Who in the business answers for a role. */
export const RoleOwner = Type.Object(
  {
    role: RoleName,
    owner: Nullable(Type.String()),
    contact: Nullable(Type.String()),
    updatedAt: Nullable(Timestamp),
  },
  { $id: 'RoleOwner' },
);
export type RoleOwner = Static<typeof RoleOwner>;

export const RoleOwnerBody = Type.Object(
  {
    owner: Type.String({ minLength: 1, maxLength: 200 }),
    contact: Type.Optional(
      Nullable(Type.String({ maxLength: 500, description: 'How to reach them; a webhook URL is told of incidents' })),
    ),
  },
  { additionalProperties: false },
);
export type RoleOwnerBody = Static<typeof RoleOwnerBody>;

/** One route with the roles that may call it at this moment. */
export const RouteAccess = Type.Object(
  {
    route: Type.String(),
    permission: Nullable(Type.String()),
    roles: Type.Union([OneOf(['open', 'worker'] as const), Type.Array(OneOf(roles))]),
    locked: Type.Boolean({ description: 'Fewer roles than the table gives' }),
    closedToRuns: Nullable(Type.String({ description: 'Why no run may call it, whoever it acts for' })),
  },
  { $id: 'RouteAccess' },
);
export type RouteAccess = Static<typeof RouteAccess>;
