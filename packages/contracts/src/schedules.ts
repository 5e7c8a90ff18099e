import Type, { type Static } from 'typebox';
import { Id, Nullable, OneOf, Timestamp } from './schema.ts';

const day = 24 * 3_600_000;

export const missedPolicies = ['skip', 'run-once', 'run-all'] as const;
export type MissedPolicy = (typeof missedPolicies)[number];

export const overlapPolicies = ['allow', 'skip', 'cancel-previous'] as const;
export type OverlapPolicy = (typeof overlapPolicies)[number];

/** Due times of one schedule that `run-all` makes up for at most, the newest ones. */
export const maxCatchUp = 100;

const fields = {
  name: Type.String({ minLength: 1, maxLength: 128 }),
  workflow: Type.String({ minLength: 1, maxLength: 64 }),
  input: Type.Unknown(),
  cron: Type.String({
    minLength: 1,
    maxLength: 255,
    description: 'Five fields, or six with seconds first; or @hourly, @daily, … Either this or `everyMs`',
  }),
  everyMs: Type.Integer({
    minimum: 1_000,
    maximum: 365 * day,
    description: 'Milliseconds between two firings, counted from `startAt`, else from the creation',
  }),
  timezone: Type.String({ minLength: 1, maxLength: 64, description: 'IANA name `cron` is read in; UTC by default' }),
  missed: OneOf(missedPolicies, {
    description:
      'What happens to due times at which nothing could fire: none, the latest (the default), ' +
      `or each of them (at most the last ${maxCatchUp})`,
  }),
  overlap: OneOf(overlapPolicies, {
    description: 'What happens while a run of this schedule is not over: `allow` (the default) starts another',
  }),
  priority: Type.Integer({ minimum: 0, maximum: 9, description: '0 is served first, 9 last; 5 by default' }),
  tags: Type.Array(Type.String({ minLength: 1, maxLength: 64 }), { maxItems: 20, uniqueItems: true }),
  startAt: Timestamp,
  endAt: Timestamp,
  enabled: Type.Boolean({ description: 'False: paused' }),
};

// Defaults are the service's, not the schemas': a PATCH must not fill in what it leaves out.
export const ScheduleBody = Type.Object(
  { ...Type.Partial(Type.Object(fields)).properties, workflow: fields.workflow, input: fields.input },
  { additionalProperties: false },
);
export type ScheduleBody = Static<typeof ScheduleBody>;

export const SchedulePatch = Type.Partial(
  Type.Object({
    ...fields,
    name: Nullable(fields.name),
    startAt: Nullable(fields.startAt),
    endAt: Nullable(fields.endAt),
  }),
  { additionalProperties: false, minProperties: 1 },
);
export type SchedulePatch = Static<typeof SchedulePatch>;

export const scheduleStates = ['active', 'paused', 'suspended', 'ended'] as const;
export type ScheduleState = (typeof scheduleStates)[number];

export const Schedule = Type.Object(
  {
    id: Id,
    ownerId: Id,
    name: Nullable(Type.String()),
    workflow: Type.String(),
    input: Type.Unknown(),
    cron: Nullable(Type.String()),
    everyMs: Nullable(Type.Integer()),
    timezone: Type.String(),
    missed: OneOf(missedPolicies),
    overlap: OneOf(overlapPolicies),
    priority: Type.Integer(),
    tags: Type.Array(Type.String()),
    startAt: Nullable(Timestamp),
    endAt: Nullable(Timestamp),
    enabled: Type.Boolean(),
    state: OneOf(scheduleStates, {
      description: '`suspended`: it could not fire, `lastError` says why; `ended`: it never fires again',
    }),
    nextAt: Nullable(Timestamp),
    lastFiredAt: Nullable(Timestamp),
    lastRunId: Nullable(Id),
    lastError: Nullable(Type.String()),
    createdAt: Timestamp,
    updatedAt: Timestamp,
  },
  { $id: 'Schedule' },
);
export type Schedule = Static<typeof Schedule>;
