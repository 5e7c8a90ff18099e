import Type, { type Static } from 'typebox';
import { Id, Nullable, Timestamp } from './schema.ts';

/** Something to be done for a customer. */
export const FollowUpInput = Type.Object(
  {
    subject: Type.String({ minLength: 1, maxLength: 200, pattern: '\\S', description: 'What is to be done' }),
    note: Type.Optional(Nullable(Type.String({ minLength: 1, maxLength: 4_000 }))),
    due: Type.Optional(Nullable(Type.String({ format: 'date', description: 'The day by which, e.g. `2026-12-01`' }))),
  },
  { additionalProperties: false },
);
export type FollowUpInput = Static<typeof FollowUpInput>;

export const FollowUp = Type.Object(
  {
    id: Id,
    customer: Type.String({ description: 'External id' }),
    subject: Type.String(),
    note: Nullable(Type.String()),
    due: Nullable(Type.String({ format: 'date' })),
    createdBy: Id,
    run: Nullable(Type.Unsafe<string>({ ...Id, description: 'The run whose agent asked for it' })),
    createdAt: Timestamp,
  },
  { $id: 'FollowUp' },
);
export type FollowUp = Static<typeof FollowUp>;
