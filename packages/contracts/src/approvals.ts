import Type, { type Static } from 'typebox';
import { Id, Nullable, OneOf, pageQuery, Timestamp } from './schema.ts';

export const approvalDecisions = ['approve', 'edit', 'refuse'] as const;
export type ApprovalDecision = (typeof approvalDecisions)[number];

/** The signal that a tool call waits for. No client can send it: its `:` is in no name that the signals route takes. */
export function approvalSignal(step: string): string {
  return `approval:${step}`;
}

const reason = Type.String({ minLength: 1, maxLength: 1_000, pattern: '^[^\\u0000]*$' });
const step = Type.String({ minLength: 1, maxLength: 512, pattern: '^[^\\u0000]*$' });
const tool = Type.String({ pattern: '^[A-Za-z][A-Za-z0-9_-]{0,63}$' });

/** What a run asks a person before it calls a tool. */
export const ApprovalBody = Type.Object(
  {
    step: Type.Unsafe<string>({ ...step, description: 'The step that will call the tool' }),
    tool,
    input: Type.Unknown({ description: 'What the tool is to be called with' }),
    inputSchema: Type.Record(Type.String(), Type.Unknown(), { description: 'JSON Schema of that input' }),
  },
  { additionalProperties: false, required: ['step', 'tool', 'input', 'inputSchema'] },
);
export type ApprovalBody = Static<typeof ApprovalBody>;

export const Approval = Type.Object(
  {
    id: Id,
    run: Id,
    workflow: Type.String(),
    step: Type.String(),
    tool: Type.String(),
    input: Type.Unknown({ description: 'What the tool is to be called with' }),
    inputSchema: Type.Record(Type.String(), Type.Unknown()),
    askedBy: Type.Unsafe<string>({ ...Id, description: 'Whose run it is: they may not decide' }),
    askedAt: Timestamp,
    open: Type.Boolean({ description: 'The run waits for a decision' }),
    decision: Nullable(OneOf(approvalDecisions)),
    decidedInput: Type.Unknown({ description: 'Of an edit: what the tool is called with instead' }),
    reason: Nullable(Type.String()),
    decidedBy: Nullable(Id),
    decidedAt: Nullable(Timestamp),
  },
  { $id: 'Approval' },
);
export type Approval = Static<typeof Approval>;

export const ApprovalQuery = Type.Object({
  ...pageQuery,
  state: Type.Optional(OneOf(['open', 'all'] as const, { default: 'open' })),
  run: Type.Optional(Id),
});

export const ApprovalDecisionBody = Type.Object(
  {
    decision: OneOf(approvalDecisions),
    input: Type.Optional(Type.Unknown({ description: 'With `edit`: what the tool is called with instead' })),
    reason: Type.Optional(Type.Unsafe<string>({ ...reason, description: 'Shown to the agent and in the audit log' })),
  },
  { additionalProperties: false },
);
export type ApprovalDecisionBody = Static<typeof ApprovalDecisionBody>;

/** What the waiting run is sent. */
export const DecisionSignal = Type.Object(
  { decision: OneOf(approvalDecisions), input: Type.Optional(Type.Unknown()), reason: Type.Optional(Type.String()) },
  { additionalProperties: false },
);
export type DecisionSignal = Static<typeof DecisionSignal>;
