import { invalidInput } from '@flowstate/contracts';
import type { Static, TObject } from 'typebox';
import { createRowReader } from './row-reader.ts';

/** Reads one row from a JSON body exactly as an import would; throws `invalid_input` naming every wrong field. */
export function createBodyReader<S extends TObject>(schema: S): (body: unknown) => Static<S> {
  const readRow = createRowReader<Static<S>>(schema, {});
  return (body) => {
    if (typeof body !== 'object' || body === null || Array.isArray(body)) {
      throw invalidInput([{ field: 'body', message: 'must be an object' }]);
    }
    const read = readRow(body as Record<string, unknown>, false);
    if ('errors' in read) throw invalidInput(read.errors);
    return read.row;
  };
}
