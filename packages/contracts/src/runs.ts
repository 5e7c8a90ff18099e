import Type, { type Static } from 'typebox';
import { Id, Nullable, OneOf, Timestamp } from './schema.ts';

export const runStates = ['queued', 'running', 'waiting', 'parked', 'completed', 'failed', 'cancelled'] as const;
export type RunState = (typeof runStates)[number];

export const terminalStates = ['completed', 'failed', 'cancelled'] as const;
export type TerminalState = (typeof terminalStates)[number];

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

/** Why something failed, as the API shows it. */
export const RunError = Type.Object({
  code: Type.String(),
  message: Type.String(),
  step: Type.Optional(Type.String()),
  stack: Type.Optional(Type.String()),
});
export type RunError = Static<typeof RunError>;

export const Run = Type.Object(
  {
    id: Id,
    workflow: Type.String(),
    version: Type.String(),
    state: OneOf(runStates),
    input: Type.Unknown(),
    output: Type.Unknown(),
    error: Nullable(RunError),
    priority: Type.Integer(),
    tags: Type.Array(Type.String()),
    attempt: Type.Integer(),
    createdAt: Timestamp,
    startedAt: Nullable(Timestamp),
    finishedAt: Nullable(Timestamp),
    traceId: Nullable(Type.String()),
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
    output: Type.Unknown(),
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
  'run.parked',
  'step.intended',
  'step.completed',
  'step.failed',
  'value.recorded',
] as const;
export type EventType = (typeof eventTypes)[number];

/** A recorded state change of a run; `seq` starts at 1 and has no gaps within a run. */
export const RunEvent = Type.Object(
  { seq: Type.Integer(), type: OneOf(eventTypes), at: Timestamp, data: Type.Record(Type.String(), Type.Unknown()) },
  { $id: 'RunEvent' },
);
export type RunEvent = Static<typeof RunEvent>;

/** Live-only news of a run (a step began, tokens arrived): no `seq`, never recorded, may be missed. */
export type RunProgress = { type: 'step.started' | 'progress'; at: string; data: Record<string, unknown> };

export const StartRunBody = Type.Object(
  {
    input: Type.Unknown(),
    priority: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 9, default: 5, description: '0 is served first, 9 last' }),
    ),
    delayMs: Type.Optional(Type.Integer({ minimum: 0, maximum: 365 * 24 * 3_600_000 })),
    tags: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 64 }), { maxItems: 20, uniqueItems: true })),
  },
  { additionalProperties: false, required: ['input'] },
);
export type StartRunBody = Static<typeof StartRunBody>;

/** A workflow as workers publish it: what the gateway needs to validate and describe it. */
export const WorkflowEntry = Type.Object(
  {
    name: Type.String({ pattern: '^[a-z][a-z0-9-]{0,62}$' }),
    version: Type.String({ minLength: 1, maxLength: 32 }),
    description: Type.String(),
    queue: OneOf(['workflows', 'documents'] as const),
    input: Type.Record(Type.String(), Type.Unknown()),
    output: Type.Record(Type.String(), Type.Unknown()),
  },
  { $id: 'Workflow' },
);
export type WorkflowEntry = Static<typeof WorkflowEntry>;
