import Type, { type Static } from 'typebox';
import { queueNames } from './jobs.ts';
import type { Role } from './roles.ts';
import { Nullable, OneOf } from './schema.ts';

/** Whom a limit is for. A principal's own goes before its role's, that before the default. */
export const limitScopes = ['principal', 'role', 'default', 'workflow'] as const;

const scope = OneOf(limitScopes, { description: 'Whom it is for: the narrowest that says something counts' });
const subject = Type.String({
  maxLength: 64,
  description: "The principal's id, the role, the workflow's name; empty for the default",
});

export const LimitKey = Type.Object({ scope, subject });
export type LimitKey = Static<typeof LimitKey>;

/** What is null is left to the next wider scope. */
export const Limit = Type.Object(
  {
    scope,
    subject,
    maxConcurrent: Nullable(Type.Integer({ minimum: 1, description: 'Runs in flight at most' })),
    maxBacklog: Nullable(Type.Integer({ minimum: 0, description: 'Runs that have not ended at most: beyond, 429' })),
    weight: Nullable(Type.Integer({ minimum: 1, maximum: 100, description: 'Share of the workers under load' })),
  },
  { $id: 'Limit' },
);
export type Limit = Static<typeof Limit>;

export const LimitBody = Type.Object(
  {
    scope,
    subject: Type.Optional(subject),
    maxConcurrent: Type.Optional(Limit.properties.maxConcurrent),
    maxBacklog: Type.Optional(Limit.properties.maxBacklog),
    weight: Type.Optional(Limit.properties.weight),
  },
  { additionalProperties: false },
);
export type LimitBody = Static<typeof LimitBody>;

/** How much one principal may have and gets. */
export type PrincipalLimits = { maxConcurrent: number | null; maxBacklog: number; weight: number };

/** Runs of one principal that have not ended, unless a limit says otherwise. */
export const defaultBacklog = 100_000;

/** What holds for a principal: its own limit, else its role's, else the default, each figure for itself. */
export function limitsOf(limits: readonly Limit[], principal: { id: string; role: Role | undefined }): PrincipalLimits {
  const widening = [
    limits.find((limit) => limit.scope === 'principal' && limit.subject === principal.id),
    limits.find((limit) => limit.scope === 'role' && limit.subject === principal.role),
    limits.find((limit) => limit.scope === 'default'),
  ];
  const first = (figure: 'maxConcurrent' | 'maxBacklog' | 'weight') =>
    widening.find((limit) => limit !== undefined && limit[figure] !== null)?.[figure] ?? null;
  return {
    maxConcurrent: first('maxConcurrent'),
    maxBacklog: first('maxBacklog') ?? defaultBacklog,
    weight: first('weight') ?? 1,
  };
}

/** How a queue stands, for operators. */
export const QueueStatus = Type.Object(
  {
    queue: OneOf(queueNames),
    paused: Type.Boolean(),
    open: Type.Boolean({ description: 'New runs go straight to Redis; else they stand in line in the ledger' }),
    window: Type.Integer({ description: 'Jobs that may wait in Redis at most' }),
  },
  { $id: 'Queue' },
);
export type QueueStatus = Static<typeof QueueStatus>;
