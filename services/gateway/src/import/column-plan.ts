import { invalidInput, type FieldError, type ImportMapping } from '@flowstate/contracts';

/** Which of the file's columns fill which of our fields. */
export type ColumnPlan = { take: { field: string; column: string }[]; unknown: string[] };

/** A column that `mapping.columns` names goes there only; the others go by their own name, if it is a field of ours. */
export function planColumns(columns: readonly string[], fields: readonly string[], mapping: ImportMapping): ColumnPlan {
  const present = new Set(columns);
  const named = Object.entries(mapping.columns ?? {});
  const sources = new Set(named.map(([, column]) => column));
  const targets = new Set(named.map(([field]) => field));
  const ignored = new Set(mapping.ignore);
  const own = fields.filter(
    (field) => present.has(field) && !targets.has(field) && !sources.has(field) && !ignored.has(field),
  );
  const take = [
    ...named.filter(([, column]) => present.has(column)).map(([field, column]) => ({ field, column })),
    ...own.map((field) => ({ field, column: field })),
  ];
  const taken = new Set([...take.map(({ column }) => column), ...ignored]);
  return { take, unknown: columns.filter((column) => !taken.has(column)) };
}

/** Throws `invalid_input` naming every field a mapping speaks of that the entity does not have. */
export function checkMapping(mapping: ImportMapping, fields: readonly string[]): void {
  const parts = { columns: mapping.columns, values: mapping.values, defaults: mapping.defaults, scale: mapping.scale };
  const errors = Object.entries(parts).flatMap(([part, record = {}]) =>
    Object.keys(record)
      .filter((field) => !fields.includes(field))
      .map((field) => ({ field: `mapping.${part}.${field}`, message: `is none of ${fields.join(', ')}` })),
  );
  if (errors.length > 0) throw invalidInput(errors);
}

/** Throws `invalid_input` naming every column a file must have and lacks, and every one we would not know where to put. */
export function checkHeader(
  columns: readonly string[],
  fields: readonly string[],
  required: readonly string[],
  mapping: ImportMapping,
): void {
  const { take, unknown } = planColumns(columns, fields, mapping);
  const filled = new Set([...take.map(({ field }) => field), ...Object.keys(mapping.defaults ?? {})]);
  const errors: FieldError[] = [
    ...Object.entries(mapping.columns ?? {})
      .filter(([, column]) => !columns.includes(column))
      .map(([field, column]) => ({
        field: `mapping.columns.${field}`,
        message: `names ${column}, which the file lacks`,
      })),
    ...required
      .filter((field) => !filled.has(field) && mapping.columns?.[field] === undefined)
      .map((field) => ({ field, message: 'is required, and no column of the file is mapped to it' })),
    ...unknown.map((column) => ({ field: column, message: 'is not a column known here: map it or ignore it' })),
  ];
  if (errors.length > 0) throw invalidInput(errors);
}
