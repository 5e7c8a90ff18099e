import {
  storableErrors,
  strictAjv,
  toFieldErrors,
  type FieldError,
  type ImportMapping,
  type OpportunityInput,
} from '@flowstate/contracts';
import type { TObject, TSchema } from 'typebox';
import { kindOf, readNested, readText, Unreadable, type Kind } from './cell-value.ts';
import { planColumns } from './column-plan.ts';
import { historyOf } from './opportunity-history.ts';

export type ReadRow<T> = { row: T } | { externalId: string | undefined; errors: FieldError[] };

/** `cells` by the file's column names; `asText`: they are CSV cells, all of them text. */
export type RowReader<T> = (cells: Record<string, unknown>, asText: boolean) => ReadRow<T>;

type Plan = { field: string; column: string; kind: Kind }[];

/**
 * Reads the rows of one import: takes columns as mapped, translates values, numbers and dates, and checks the result
 * against the entity's own schema. Dates come out in UTC with milliseconds, stages in lower case, a missing history
 * as far as it is known.
 */
export function createRowReader<T extends { externalId?: string }>(
  schema: TObject,
  mapping: ImportMapping,
): RowReader<T> {
  // Compiled with the first row: a start takes a twentieth less.
  let validate: ReturnType<typeof strictAjv.compile<T>> | undefined;
  const properties = schema.properties as Record<string, TSchema>;
  const fields = Object.keys(properties);
  const format = mapping.dateFormat ?? 'iso';
  const openedStage = mapping.openedStage?.toLowerCase();
  const hasStages = 'stage' in properties;
  const plans = new Map<string, Plan>();

  function planOf(columns: string[]): Plan {
    const key = columns.join('\0');
    let plan = plans.get(key);
    if (plan === undefined) {
      const { take, unknown } = planColumns(columns, fields, mapping);
      const targets = new Set(take.map(({ field }) => field));
      const byDefault = Object.keys(mapping.defaults ?? {}).filter((field) => !targets.has(field));
      const all = [
        ...take,
        ...byDefault.map((field) => ({ field, column: '' })),
        // Unknown ones are taken as they are, so that the schema refuses them by name.
        ...unknown.map((column) => ({ field: column, column })),
      ];
      plan = all.map((entry) => ({ ...entry, kind: kindOf(properties[entry.field]) }));
      // JSON objects may differ in their keys; nobody's thousand shapes are kept.
      if (plans.size < 100) plans.set(key, plan);
    }
    return plan;
  }

  function cellOf({ field, column, kind }: Plan[number], cells: Record<string, unknown>, asText: boolean): unknown {
    let value = Object.hasOwn(cells, column) ? cells[column] : undefined;
    if (asText && typeof value === 'string') value = value.trim();
    if (typeof value === 'string') value = own(mapping.values?.[field], value) ?? value;
    if (value === undefined || value === null || (asText && value === '')) {
      value = own(mapping.defaults, field) ?? (asText ? undefined : value);
    }
    if (typeof value === 'string') value = readText(value, kind, field, format);
    const scale = own(mapping.scale, field);
    // Fifteen digits are those a decimal keeps in a double: 1100.04 million is no 1100039999.9999999.
    if (scale !== undefined && typeof value === 'number') return Number((value * scale).toPrecision(15));
    return value;
  }

  return (cells, asText) => {
    const plan = planOf(Object.keys(cells));
    // Without a prototype, which a column called __proto__ would replace.
    const row = Object.create(null) as Record<string, unknown>;
    const errors: FieldError[] = [];
    for (const entry of plan) {
      try {
        const value = cellOf(entry, cells, asText);
        if (value !== undefined) row[entry.field] = value;
      } catch (error) {
        if (!(error instanceof Unreadable)) throw error;
        errors.push({ field: entry.field, message: error.message });
      }
    }
    errors.push(...readNested(row, format));
    const unreadable = new Set(errors.map(({ field }) => field));
    validate ??= strictAjv.compile<T>(schema);
    if (!validate(row)) {
      errors.push(...toFieldErrors(validate.errors ?? []).filter(({ field }) => !unreadable.has(field)));
    }
    const wrong = new Set(errors.map(({ field }) => field));
    for (const [field, value] of Object.entries(row)) {
      // Numbers of a direction are rounded anyhow, and thousands.
      if (field !== 'embedding' && !wrong.has(field)) errors.push(...storableErrors(value, field));
    }
    if (errors.length > 0) {
      const { externalId } = row;
      return {
        externalId: typeof externalId === 'string' ? externalId.slice(0, 255) : undefined,
        errors: errors.slice(0, 100).map((error) => withColumn(error, plan)),
      };
    }
    if (hasStages) Object.assign(row, { history: historyOf(row as unknown as OpportunityInput, openedStage) });
    return { row: row as unknown as T };
  };
}

function own<V>(record: Record<string, V> | undefined, key: string): V | undefined {
  return record !== undefined && Object.hasOwn(record, key) ? record[key] : undefined;
}

/** Whoever repairs the file looks for the column's own name. */
function withColumn({ field, message }: FieldError, plan: Plan): FieldError {
  const column = plan.find((entry) => entry.field === field.split('.')[0])?.column;
  return column === undefined || column === '' || column === field.split('.')[0]
    ? { field, message }
    : { field, message: `${message} (column ${column})` };
}
