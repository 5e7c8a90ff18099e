import Type, { type Static } from 'typebox';
import { OneOf } from './schema.ts';

export const importEntities = ['customers', 'interactions', 'opportunities', 'integrations', 'documents'] as const;
export type ImportEntity = (typeof importEntities)[number];

/** How foreign columns become ours. JSON in the `mapping` query parameter of an import. */
export const ImportMapping = Type.Object(
  {
    columns: Type.Optional(
      Type.Record(Type.String(), Type.String(), {
        description: 'our column → their column; columns not named here are taken by their own name if we know it',
      }),
    ),
    values: Type.Optional(
      Type.Record(Type.String(), Type.Record(Type.String(), Type.String()), {
        description: 'our column → their value → our value, e.g. {"product": {"GTXPro": "GTX Pro"}}',
      }),
    ),
    defaults: Type.Optional(
      Type.Record(Type.String(), Type.String(), { description: 'our column → value when empty' }),
    ),
    dateFormat: Type.Optional(
      OneOf(['iso', 'DD-MM-YY', 'DD-MM-YYYY', 'MM/DD/YYYY', 'DD.MM.YYYY', 'YYYY/MM/DD'] as const, { default: 'iso' }),
    ),
    ignore: Type.Optional(Type.Array(Type.String(), { description: 'their columns to leave out without a word' })),
  },
  { additionalProperties: false },
);
export type ImportMapping = Static<typeof ImportMapping>;

export const ImportRejection = Type.Object({
  line: Type.Integer({ description: 'line of the file on which the row begins (CSV, NDJSON), or 1-based index' }),
  externalId: Type.Optional(Type.String()),
  errors: Type.Array(Type.Object({ field: Type.String(), message: Type.String() })),
});
export type ImportRejection = Static<typeof ImportRejection>;

/** The last line of an import's NDJSON answer; each rejection came before it as a line of its own. */
export const ImportSummary = Type.Object(
  {
    entity: OneOf(importEntities),
    rows: Type.Integer(),
    inserted: Type.Integer(),
    updated: Type.Integer(),
    unchanged: Type.Integer(),
    rejected: Type.Integer(),
    runs: Type.Array(Type.String(), { description: 'runs that embed imported documents' }),
  },
  { $id: 'ImportSummary' },
);
export type ImportSummary = Static<typeof ImportSummary>;
