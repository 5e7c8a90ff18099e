import { storableErrors, type FieldError } from '@flowstate/contracts';

/** A filter is compared as it stands; something that looks like an operator would silently find nothing. */
export function filterErrors(filter: Record<string, unknown>): FieldError[] {
  const operators = Object.keys(filter).filter((key) => key.startsWith('$'));
  return [
    ...operators.map((key) => ({ field: `filter.${key}`, message: 'is an operator that is not known here' })),
    ...storableErrors(filter, 'filter'),
  ];
}
