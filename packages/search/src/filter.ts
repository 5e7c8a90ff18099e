import { storableErrors, wrongNames, type FieldError } from '@flowstate/contracts';

/** How operators of other query languages begin: `$gt`, `>=`, `!=`, `~`. */
const operator = /^[$<>=!~]/;

/**
 * A filter is compared as it stands, at every depth: something that looks like an operator would silently find nothing.
 * Below plain words is what the metadata contain there.
 */
export function filterErrors(filter: Record<string, unknown>): FieldError[] {
  return [
    ...wrongNames(filter, 'filter').map(({ field, name }) => ({
      field,
      message: operator.test(name) ? 'is an operator that is not known here' : 'is no name that metadata can have',
    })),
    ...storableErrors(filter, 'filter'),
  ];
}
