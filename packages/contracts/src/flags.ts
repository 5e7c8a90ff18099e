import Type, { type Static } from 'typebox';
import { Nullable, Reason, Timestamp } from './schema.ts';

/** Switches and limits that change while everything runs: name → default, and what it is. */
export const flagDefinitions = {
  'runs.start': { default: true, description: 'Runs are started, retried and forked' },
  search: { default: true, description: 'Searches are answered' },
  import: { default: true, description: 'Imports are taken' },
  'documents.write': { default: true, description: 'Documents are taken' },
  'rate.principal': { default: 60_000, description: 'Requests of one principal a minute, over all gateways' },
  'rate.address': {
    default: 1_200,
    description: 'Requests of one address a minute that are not, or wrongly, authenticated',
  },
  'shed.lag-ms': { default: 2_000, description: 'Milliseconds the event loop may lag, on average over a second' },
} as const;

export type FlagName = keyof typeof flagDefinitions;
export const flagNames = Object.keys(flagDefinitions) as FlagName[];

export const FlagValue = Type.Union([Type.Boolean(), Type.Integer({ minimum: 1, maximum: 1_000_000_000 })]);

export const Flag = Type.Object(
  {
    name: Type.String(),
    value: FlagValue,
    default: FlagValue,
    description: Type.String(),
    reason: Nullable(Type.String({ description: 'Why it differs from its default' })),
    updatedAt: Nullable(Timestamp),
    updatedBy: Nullable(Type.String()),
  },
  { $id: 'Flag' },
);
export type Flag = Static<typeof Flag>;

export const FlagBody = Type.Object({ value: FlagValue, reason: Reason }, { additionalProperties: false });
export type FlagBody = Static<typeof FlagBody>;
