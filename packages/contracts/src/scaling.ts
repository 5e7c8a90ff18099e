import Type, { type Static } from 'typebox';
import { queueNames, type QueueName } from './jobs.ts';
import { Id, Nullable, OneOf, OverrideSeconds, Reason, Timestamp } from './schema.ts';

const Workers = Type.Integer({ minimum: 0, maximum: 100_000 });

/** What decides how many workers a queue gets, as an operator writes it down. */
export const QueuePolicy = Type.Object(
  {
    min: Type.Integer({ minimum: 0, maximum: 100_000, description: 'Workers at least' }),
    max: Type.Integer({ minimum: 0, maximum: 100_000, description: 'Workers at most' }),
    concurrency: Type.Integer({
      minimum: 1,
      maximum: 1000,
      description: 'Places of one worker, while none lives that says how many it has',
    }),
    utilisation: Type.Number({ exclusiveMinimum: 0, maximum: 1, description: 'Share of the places in use' }),
    waitGoalSeconds: Type.Number({ exclusiveMinimum: 0, maximum: 86_400, description: 'What waits begins within' }),
    connectionBudget: Nullable(
      Type.Integer({
        minimum: 0,
        maximum: 1_000_000,
        description: "Postgres connections of all workers; null: 60 % of the server's",
      }),
    ),
    providerRunsPerSecond: Nullable(
      Type.Number({ exclusiveMinimum: 0, maximum: 1_000_000, description: "The model provider's limit; null: none" }),
    ),
  },
  { additionalProperties: false },
);
export type QueuePolicy = Static<typeof QueuePolicy>;

/** What differs from the repository's policy, by queue. */
export const PolicyChanges = Type.Unsafe<{ [queue in QueueName]?: Partial<QueuePolicy> }>({
  type: 'object',
  properties: Object.fromEntries(
    queueNames.map((queue) => [queue, Type.Partial(QueuePolicy, { additionalProperties: false })]),
  ),
  additionalProperties: false,
});
export type PolicyChanges = Static<typeof PolicyChanges>;

/** Set by a person for a while: bounds in place of the policy's. Without a name of its own: a status has it twice. */
export const ScalingOverride = Type.Object({
  id: Id,
  queue: OneOf(queueNames),
  min: Nullable(Workers),
  max: Nullable(Workers),
  reason: Type.String(),
  author: Type.String(),
  createdAt: Timestamp,
  expiresAt: Timestamp,
});
export type ScalingOverride = Static<typeof ScalingOverride>;

/** How many workers a queue should have and why, as computed in the last seconds: what an autoscaler obeys. */
export const ScalingState = Type.Object(
  {
    queue: OneOf(queueNames),
    load: Type.Integer({ description: 'Active and waiting; while paused only active' }),
    active: Type.Integer({ description: 'Runs that workers hold' }),
    waiting: Type.Integer({ description: 'Runs that may begin now, or by the time a new worker is up' }),
    paused: Type.Boolean(),
    oldestAgeSeconds: Type.Number({ description: 'How long the oldest run that nobody has begun has been ready' }),
    arrivalPerSecond: Type.Number({ description: 'Runs accepted, over the last 20 seconds' }),
    serviceSeconds: Nullable(
      Type.Number({ description: 'How long a run holds a place of a worker, on average; null: nobody knows yet' }),
    ),
    concurrency: Type.Integer({ description: 'Places of one worker' }),
    liveWorkers: Type.Integer(),
    desired: Type.Integer({ description: 'Workers there should be' }),
    reason: Type.String({ description: 'What the number came from, out of a fixed set' }),
    byLoad: Type.Integer({ description: 'What the load asks for, before any bound' }),
    byLatency: Type.Integer({ description: 'What the wait goal asks for, before any bound' }),
    policy: QueuePolicy,
    providerRunsPerSecond: Type.Optional(
      Nullable(
        Type.Number({
          description: 'Runs that the model provider lets through: as set, or by its rate limits; null: any',
        }),
      ),
    ),
    connections: Type.Object({ budget: Type.Integer(), perWorker: Type.Integer() }),
    override: Nullable(ScalingOverride),
    computedAt: Timestamp,
  },
  { $id: 'ScalingState' },
);
export type ScalingState = Static<typeof ScalingState>;

/** A queue's scaling as an administrator sees it; without a state when it is not known right now. */
export const ScalingStatus = Type.Object(
  {
    queue: OneOf(queueNames),
    state: Nullable(ScalingState),
    problem: Nullable(Type.String({ description: 'Why there is no state' })),
    override: Nullable(ScalingOverride),
  },
  { $id: 'ScalingStatus' },
);
export type ScalingStatus = Static<typeof ScalingStatus>;

export const ScalingOverrideBody = Type.Object(
  {
    min: Type.Optional(Nullable(Workers)),
    max: Type.Optional(Nullable(Workers)),
    reason: Reason,
    seconds: OverrideSeconds,
  },
  { additionalProperties: false },
);
export type ScalingOverrideBody = Static<typeof ScalingOverrideBody>;

/** A worker process that lives, as far as the ledger knows. */
export const LiveWorker = Type.Object(
  {
    id: Type.Integer({ description: 'Its incarnation' }),
    host: Type.String(),
    pid: Type.Integer(),
    url: Nullable(Type.String({ description: 'Where this very instance can be asked' })),
    concurrency: Type.Integer(),
    startedAt: Timestamp,
    heartbeatAt: Timestamp,
  },
  { $id: 'LiveWorker' },
);
export type LiveWorker = Static<typeof LiveWorker>;

/** A gateway process that lives, as far as the ledger knows. */
export const LiveGateway = Type.Object(
  {
    id: Type.Integer({ description: 'Its number, never used again' }),
    host: Type.String(),
    pid: Type.Integer(),
    startedAt: Timestamp,
    seenAt: Timestamp,
  },
  { $id: 'LiveGateway' },
);
export type LiveGateway = Static<typeof LiveGateway>;
