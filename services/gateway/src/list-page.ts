import { invalidInput, uuidPattern } from '@flowstate/contracts';

const idCursor = new RegExp(`^${uuidPattern}$`);
const timeCursor = new RegExp(`^(\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z)_(${uuidPattern})$`);

/** A page of `found`, which was asked for one more than `limit` to know whether the list goes on. */
export function toPage<T>(
  found: T[],
  limit: number,
  cursorOf: (item: T) => string,
): { items: T[]; nextCursor: string | null } {
  const items = found.slice(0, limit);
  const last = items.at(-1);
  return { items, nextCursor: found.length > limit && last !== undefined ? cursorOf(last) : null };
}

/** A cursor of that form, after which the list goes on. Throws `invalid_input` for what is none. */
export function readCursor(cursor: string | undefined, form: RegExp): string | undefined {
  if (cursor !== undefined && !form.test(cursor)) throw wrongCursor();
  return cursor;
}

/** The id after which a list ordered by id goes on; throws like `readCursor`. */
export function readIdCursor(cursor: string | undefined): string | undefined {
  return readCursor(cursor, idCursor);
}

/** Place in a list ordered by time and id. */
export function toTimeCursor({ at, id }: { at: string; id: string }): string {
  return `${at}_${id}`;
}

/** Reads what `toTimeCursor` made; throws `invalid_input` for anything else. */
export function readTimeCursor(cursor: string | undefined): { at: string; id: string } | undefined {
  if (cursor === undefined) return undefined;
  const [, at, id] = timeCursor.exec(cursor) ?? [];
  if (at === undefined || id === undefined || Number.isNaN(Date.parse(at))) throw wrongCursor();
  return { at, id };
}

export function wrongCursor() {
  return invalidInput([{ field: 'querystring.cursor', message: 'is not a cursor of this list' }]);
}
