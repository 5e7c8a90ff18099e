import Type, { type Static } from 'typebox';
import { OneOf, type Problem } from './schema.ts';

export const importEntities = ['customers', 'interactions', 'opportunities', 'integrations', 'documents'] as const;
export type ImportEntity = (typeof importEntities)[number];

/** A row of an import takes at most this many characters. */
export const maxRowLength = 1024 * 1024;

/** An array of `application/json` takes at most this many bytes, since it is read whole; NDJSON has no limit. */
export const maxJsonBytes = 16 * 1024 * 1024;

export const dateFormats = ['iso', 'YYYY', 'DD-MM-YY', 'DD-MM-YYYY', 'MM/DD/YYYY', 'DD.MM.YYYY', 'YYYY/MM/DD'] as const;
export type DateFormat = (typeof dateFormats)[number];

const cell = (description: string) => Type.Optional(Type.Record(Type.String(), Type.String(), { description }));

/** How foreign columns become ours. JSON in the `mapping` query parameter of an import. */
export const ImportMapping = Type.Object(
  {
    columns: cell('our column → their column; columns not named here are taken by their own name if we know it'),
    values: Type.Optional(
      Type.Record(Type.String(), Type.Record(Type.String(), Type.String()), {
        description: 'our column → their value → our value, e.g. {"product": {"GTXPro": "GTX Pro"}}',
      }),
    ),
    defaults: cell('our column → value when empty'),
    scale: Type.Optional(
      Type.Record(Type.String(), Type.Number(), {
        description: 'our column → what to multiply its number by, e.g. {"annualRevenue": 1000000} for millions',
      }),
    ),
    dateFormat: Type.Optional(
      OneOf(dateFormats, {
        default: 'iso',
        description: 'of every date; without a time of day midnight UTC, two-digit years are 1970 to 2069',
      }),
    ),
    openedStage: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 60,
        description: 'stage an opportunity enters at openedAt, where the source defines that date so; for the history',
      }),
    ),
    delimiter: Type.Optional(
      OneOf([',', ';', '\t', '|'] as const, { default: ',', description: 'between CSV columns' }),
    ),
    ignore: Type.Optional(Type.Array(Type.String(), { description: 'their columns to leave out without a word' })),
  },
  { additionalProperties: false },
);
export type ImportMapping = Static<typeof ImportMapping>;

const FieldErrors = Type.Array(Type.Object({ field: Type.String(), message: Type.String() }));

/** A row that did not go in. */
export const ImportRejection = Type.Object(
  {
    line: Type.Integer({
      description: 'line of the file on which the row begins (CSV, NDJSON), or 1-based index (JSON)',
    }),
    externalId: Type.Optional(Type.String()),
    errors: FieldErrors,
  },
  { $id: 'ImportRejection' },
);
export type ImportRejection = Static<typeof ImportRejection>;

const counts = {
  rows: Type.Integer({ description: 'read so far or in all, the rejected ones included' }),
  inserted: Type.Integer(),
  updated: Type.Integer(),
  unchanged: Type.Integer(),
  rejected: Type.Integer(),
};
export const ImportCounts = Type.Object(counts);
export type ImportCounts = Static<typeof ImportCounts>;

/** The last line of an import's NDJSON answer; each rejection came before it as a line of its own. */
export const ImportSummary = Type.Object(
  {
    entity: OneOf(importEntities),
    dryRun: Type.Boolean(),
    ...counts,
    reasons: Type.Array(Type.Object({ field: Type.String(), message: Type.String(), count: Type.Integer() }), {
      description: 'why rows were rejected, the most frequent first, at most 20',
    }),
    runs: Type.Array(Type.String(), { description: 'runs that embed imported documents' }),
  },
  { $id: 'ImportSummary' },
);
export type ImportSummary = Static<typeof ImportSummary>;

/** One line of the NDJSON answer; an `error` line instead of the summary says that the import ended early. */
export type ImportLine =
  | ImportRejection
  | { progress: ImportCounts }
  | { error: Problem; progress: ImportCounts }
  | ImportSummary;

/** The answer to `Accept: application/json`. */
export const ImportAnswer = Type.Object(
  {
    ...ImportSummary.properties,
    rejections: Type.Array(ImportRejection, { description: 'the first 1,000' }),
    truncated: Type.Boolean({ description: 'there were more rejections than are listed' }),
  },
  { $id: 'ImportAnswer' },
);
export type ImportAnswer = Static<typeof ImportAnswer>;
