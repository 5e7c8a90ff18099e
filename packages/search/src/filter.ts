import { metadataName, storableErrors, type FieldError } from '@flowstate/contracts';

/** A filter is compared as it stands; something that looks like an operator would silently find nothing. */
export function filterErrors(filter: Record<string, unknown>): FieldError[] {
  const unknown = Object.keys(filter).filter((key) => !key.startsWith('$') && !metadataName.test(key));
  return [
    ...operatorsOf(filter, 'filter').map((field) => ({ field, message: 'is an operator that is not known here' })),
    ...unknown.map((key) => ({ field: `filter.${key}`, message: 'is no name that metadata can have' })),
    ...storableErrors(filter, 'filter'),
  ];
}

/** At every depth that can be stored; deeper ones are refused anyway. */
function operatorsOf(value: unknown, path: string, depth = 0): string[] {
  if (typeof value !== 'object' || value === null || depth > 32) return [];
  return Object.entries(value).flatMap(([key, part]) => [
    ...(key.startsWith('$') ? [`${path}.${key}`] : []),
    ...operatorsOf(part, `${path}.${key}`, depth + 1),
  ]);
}
