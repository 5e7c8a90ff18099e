import Type, { type Static } from 'typebox';
import { Nullable, OneOf, pageQuery } from './schema.ts';

export const usageGroups = ['day', 'principal', 'workflow', 'model', 'run'] as const;

const Day = Type.String({ format: 'date', description: 'UTC' });

export const UsageQuery = Type.Object(
  {
    by: OneOf(usageGroups, { default: 'day', description: 'What a line is of' }),
    principalId: Type.Optional(Type.String({ format: 'uuid' })),
    workflow: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
    model: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
    runId: Type.Optional(Type.String({ format: 'uuid' })),
    from: Type.Optional(Day),
    to: Type.Optional(Type.String({ format: 'date', description: 'UTC; the last day that counts' })),
    ...pageQuery,
  },
  { additionalProperties: false },
);
export type UsageQuery = Static<typeof UsageQuery>;

/** What calls of language models used, and what is reserved for those of which nobody has said it. */
export const Usage = Type.Object(
  {
    key: Type.String({ description: 'The day, principal, workflow, model or run' }),
    calls: Type.Integer(),
    inputTokens: Type.Integer(),
    outputTokens: Type.Integer(),
    costUsd: Nullable(Type.Number({ description: 'null: none of the models has a price' })),
    unpricedCalls: Type.Integer({ description: 'Of models without a price: their cost is not in `costUsd`' }),
    unsettledCalls: Type.Integer({ description: 'Under way, or lost with their worker: what they reserved is spent' }),
    reservedTokens: Type.Integer({ description: 'Of unsettled calls' }),
    reservedUsd: Type.Number(),
  },
  { $id: 'Usage' },
);
export type Usage = Static<typeof Usage>;
