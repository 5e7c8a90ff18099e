import { invalidInput, type FlowstateError } from '@flowstate/contracts';
import { filterErrors } from '@flowstate/search';

/** Reads `?filter=`; throws `invalid_input`. An empty one is refused: it would be contained in everything. */
export function readFilter(json: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw wrongFilter('must be JSON');
  }
  if (!isFilter(value)) throw wrongFilter('must be an object with at least one field');
  const errors = filterErrors(value).map(({ field, message }) => ({ field: `querystring.${field}`, message }));
  if (errors.length > 0) throw invalidInput(errors);
  return value;
}

function isFilter(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0;
}

function wrongFilter(message: string): FlowstateError {
  return invalidInput([{ field: 'querystring.filter', message }]);
}
