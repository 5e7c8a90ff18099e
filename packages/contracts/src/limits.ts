import Type, { type Static } from 'typebox';
import { invalidInput } from './errors.ts';
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
    maxSearchLimit: Nullable(
      Type.Integer({
        minimum: 1,
        maximum: 100,
        description: '`limit` of a search at most: one that asks for more gets so many',
      }),
    ),
    minSearchThreshold: Nullable(
      Type.Number({ minimum: -1, maximum: 1, description: '`threshold` of a search at least: a lower one is raised' }),
    ),
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
    maxSearchLimit: Type.Optional(Limit.properties.maxSearchLimit),
    minSearchThreshold: Type.Optional(Limit.properties.minSearchThreshold),
  },
  { additionalProperties: false },
);
export type LimitBody = Static<typeof LimitBody>;

/** How much one principal may have and gets. */
export type PrincipalLimits = {
  maxConcurrent: number | null;
  maxBacklog: number;
  weight: number;
  search: SearchCeilings;
};

/** What an operator leaves of the searches of one principal; null: all. */
export type SearchCeilings = Pick<Limit, 'maxSearchLimit' | 'minSearchThreshold'>;

const figures = ['maxConcurrent', 'maxBacklog', 'weight', 'maxSearchLimit', 'minSearchThreshold'] as const;
export type LimitFigure = (typeof figures)[number];
/** Those that say something for a workflow. */
const workflowFigures: ReadonlySet<LimitFigure> = new Set(['maxConcurrent']);

/** A limit as it is stored; throws `invalid_input` when it says nothing, or what is not for its scope. */
export function toLimit({ scope, subject = '', ...given }: LimitBody): Limit {
  const limit = Object.fromEntries(figures.map((figure) => [figure, given[figure] ?? null])) as Pick<
    Limit,
    LimitFigure
  >;
  const named = figures.filter((figure) => limit[figure] !== null);
  if (named.length === 0) {
    throw invalidInput([{ field: 'maxConcurrent', message: `or one of ${figures.slice(1).join(', ')} must be given` }]);
  }
  const foreign = scope === 'workflow' ? named.filter((figure) => !workflowFigures.has(figure)) : [];
  if (foreign.length > 0) throw invalidInput(foreign.map((field) => ({ field, message: 'is not for a workflow' })));
  return { scope, subject, ...limit };
}

/** Runs of one principal that have not ended, unless a limit says otherwise. */
export const defaultBacklog = 100_000;

/** What holds for a principal: its own limit, else its role's, else the default, each figure for itself. */
export function limitsOf(limits: readonly Limit[], principal: { id: string; role: Role | undefined }): PrincipalLimits {
  const widening = [
    limits.find((limit) => limit.scope === 'principal' && limit.subject === principal.id),
    limits.find((limit) => limit.scope === 'role' && limit.subject === principal.role),
    limits.find((limit) => limit.scope === 'default'),
  ];
  const first = (figure: LimitFigure) =>
    widening.find((limit) => limit !== undefined && limit[figure] !== null)?.[figure] ?? null;
  return {
    maxConcurrent: first('maxConcurrent'),
    maxBacklog: first('maxBacklog') ?? defaultBacklog,
    weight: first('weight') ?? 1,
    search: { maxSearchLimit: first('maxSearchLimit'), minSearchThreshold: first('minSearchThreshold') },
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
