import Type, { type Static } from 'typebox';
import { queueNames, type Delivery } from './jobs.ts';
import { Id, Nullable, OneOf, Timestamp, type Problem } from './schema.ts';

export const liveStates = ['queued', 'running', 'waiting', 'parked', 'quarantined'] as const;
export type LiveState = (typeof liveStates)[number];

export const terminalStates = ['completed', 'failed', 'cancelled'] as const;
export type TerminalState = (typeof terminalStates)[number];

export const runStates = [...liveStates, ...terminalStates] as const;
export type RunState = (typeof runStates)[number];

export function isTerminal(state: RunState): state is TerminalState {
  return (terminalStates as readonly string[]).includes(state);
}

/**
 * What a step's function does to the outside world.
 * `pure`: nothing, it may run again. `keyed`: an effect the far end recognises by its idempotency key.
 * `unsafe`: an effect that must never be repeated blindly.
 */
export const effects = ['pure', 'keyed', 'unsafe'] as const;
export type Effect = (typeof effects)[number];

/** One try of a step that failed. */
export const FailedTry = Type.Object({
  attempt: Type.Integer(),
  at: Timestamp,
  code: Type.String(),
  message: Type.String(),
});
export type FailedTry = Static<typeof FailedTry>;

/** Why something failed, as the API shows it. */
export const RunError = Type.Object({
  code: Type.String(),
  message: Type.String(),
  step: Type.Optional(Type.String()),
  attempts: Type.Optional(Type.Array(FailedTry, { description: 'Tries of the failed step, oldest first' })),
  stack: Type.Optional(Type.String()),
});
export type RunError = Static<typeof RunError>;

/** A run that ended without an owner: its terminal event, and the job to withdraw. */
export type EndedRun = { state: 'cancelled' | 'failed'; seq: number; error: RunError | null; delivery: Delivery };

/** Why a run is cancelled whose time to live was over. */
export const expiredError: RunError = {
  code: 'expired',
  message: 'The time to live of the run was over before it had finished',
};

/** Largest result of a step, largest output of a run, as JSON. */
export const maxResultBytes = 8 * 1024 * 1024;
/** Largest input of a run, as JSON. */
export const maxInputBytes = 1024 * 1024;
/** Results over this are stored once beside the journal, and referred to. */
export const maxInlineBytes = 256 * 1024;

/** Stands for a large result where the result itself would be too much: `GET /api/runs/:id/payloads/:ref` has it. */
export const PayloadRef = Type.Object(
  { ref: Type.String({ description: 'SHA-256 of the JSON, base64url' }), bytes: Type.Integer() },
  { $id: 'PayloadRef' },
);
export type PayloadRef = Static<typeof PayloadRef>;

export const Run = Type.Object(
  {
    id: Id,
    workflow: Type.String(),
    version: Type.String(),
    state: OneOf(runStates),
    input: Type.Unknown(),
    output: Type.Unknown({ description: 'In lists, one over 256 KiB is `{ref, bytes}`' }),
    error: Nullable(RunError),
    priority: Type.Integer(),
    tags: Type.Array(Type.String()),
    attempt: Type.Integer(),
    createdAt: Timestamp,
    startedAt: Nullable(Timestamp),
    finishedAt: Nullable(Timestamp),
    traceId: Nullable(Type.String()),
    scheduleId: Nullable(Id),
  },
  { $id: 'Run' },
);
export type Run = Static<typeof Run>;

export const Step = Type.Object(
  {
    name: Type.String(),
    state: OneOf(['running', 'completed', 'failed'] as const),
    effect: OneOf(effects),
    attempt: Type.Integer(),
    output: Type.Unknown({ description: '`{ref, bytes}` where the outputs before it sum up to 32 MiB' }),
    error: Nullable(RunError),
    startedAt: Timestamp,
    finishedAt: Nullable(Timestamp),
  },
  { $id: 'Step' },
);
export type Step = Static<typeof Step>;

export const eventTypes = [
  'run.accepted',
  'run.started',
  'run.resumed',
  'run.retried',
  'run.completed',
  'run.failed',
  'run.cancelled',
  'run.waiting',
  'run.parked',
  'run.resolved',
  'run.quarantined',
  'run.released',
  'step.intended',
  'step.completed',
  'step.failed',
  'wait.begun',
  'wait.ended',
  'value.recorded',
] as const;
export type EventType = (typeof eventTypes)[number];

/** A recorded state change of a run; `seq` starts at 1 and has no gaps within a run. */
export const RunEvent = Type.Object(
  { seq: Type.Integer(), type: OneOf(eventTypes), at: Timestamp, data: Type.Record(Type.String(), Type.Unknown()) },
  { $id: 'RunEvent' },
);
export type RunEvent = Static<typeof RunEvent>;

/** News for a run: a signal (`name`, `data`, its sender) or the end of a child (`name` is its run id). */
export type InboxEntry = {
  id: number;
  kind: 'signal' | 'child';
  name: string;
  data: unknown;
  principalId: string | null;
  /** The run by which the principal sent it; null: it was a person or a program. */
  byRun: string | null;
  at: string;
};

export type Inbox = {
  /** Counter of the run's row at the time of reading; a higher one later means news. */
  seen: number;
  /** Oldest first. */
  entries: InboxEntry[];
};

/** Live-only news of a run (a step began, tokens arrived): no `seq`, never recorded, may be missed. */
export type RunProgress = { type: 'step.started' | 'progress'; at: string; data: Record<string, unknown> };

export const StartRunBody = Type.Object(
  {
    input: Type.Unknown(),
    version: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 64,
        description: 'Of the workflow; default the newest. The run waits while no live worker carries it',
      }),
    ),
    priority: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 9, default: 5, description: '0 is served first, 9 last' }),
    ),
    delayMs: Type.Optional(Type.Integer({ minimum: 0, maximum: 365 * 24 * 3_600_000 })),
    tags: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 64 }), { maxItems: 20, uniqueItems: true })),
    ttlMs: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 365 * 24 * 3_600_000,
        description: 'Time to live: what has not finished by then is cancelled',
      }),
    ),
    webhookUrl: Type.Optional(
      Type.String({
        format: 'uri',
        maxLength: 2048,
        description: 'Told when the run ends, by a signed POST (Standard Webhooks); http or https, no private address',
      }),
    ),
    concurrencyKey: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 255,
        description: 'Of runs of this workflow with the same key only so many run at a time as it declares',
      }),
    ),
    parentId: Type.Optional(
      Type.String({ format: 'uuid', description: 'Only for a run that starts a child of its own' }),
    ),
  },
  { additionalProperties: false, required: ['input'] },
);
export type StartRunBody = Static<typeof StartRunBody>;

export const SignalName = Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$' });
export const SignalBody = Type.Object({ data: Type.Optional(Type.Unknown()) }, { additionalProperties: false });

export const ForkBody = Type.Object(
  { fromStep: Type.String({ minLength: 1, maxLength: 512, description: 'Runs again, with all that came after it' }) },
  { additionalProperties: false },
);

/** How a person settles a parked run. */
export const ResolveBody = Type.Unsafe<
  { outcome: 'happened'; output: unknown } | { outcome: 'not-happened' } | { outcome: 'abandon' }
>(
  Type.Object(
    {
      outcome: OneOf(['happened', 'not-happened', 'abandon'] as const, {
        description: 'Did the effect in doubt take place? `abandon` ends the run as failed',
      }),
      output: Type.Optional(
        Type.Unknown({ description: 'What the step returns: required with `happened`, null when it returns nothing' }),
      ),
    },
    {
      additionalProperties: false,
      // Left out by mistake, the run would go on as if the effect had returned nothing.
      if: { not: { properties: { outcome: { const: 'happened' } }, required: ['outcome'] } },
      else: { required: ['output'] },
    },
  ),
);
export type ResolveBody = Static<typeof ResolveBody>;

/** One line of the NDJSON answer of `POST /api/runs/cancel` and `…/retry`: totals so far, failures since the last line. */
export const BulkProgress = Type.Object(
  {
    matched: Type.Integer({ description: 'Runs that match and could be changed' }),
    changed: Type.Integer({ description: 'Of these; children that go with a cancelled parent are not counted' }),
    failed: Type.Array(Type.Object({ id: Id, code: Type.String(), message: Type.String() })),
    done: Type.Boolean({ description: 'This is the last line' }),
  },
  { $id: 'BulkProgress' },
);
export type BulkProgress = Static<typeof BulkProgress>;
/** An `error` line says that it ended early. */
export type BulkLine = BulkProgress | { error: Problem };

/** A workflow as workers publish it: what the gateway needs to validate and describe it. */
export const WorkflowEntry = Type.Object(
  {
    name: Type.String({ pattern: '^[a-z][a-z0-9-]{0,62}$' }),
    version: Type.String({ minLength: 1, maxLength: 32 }),
    description: Type.String(),
    queue: OneOf(queueNames),
    input: Type.Record(Type.String(), Type.Unknown()),
    output: Type.Record(Type.String(), Type.Unknown()),
    concurrency: Type.Optional(
      Type.Object({
        total: Type.Optional(Type.Integer({ minimum: 1, description: 'Runs in flight at most' })),
        perKey: Type.Optional(Type.Integer({ minimum: 1, description: 'Of those that share a concurrency key' })),
      }),
    ),
  },
  { $id: 'Workflow' },
);
export type WorkflowEntry = Static<typeof WorkflowEntry>;
