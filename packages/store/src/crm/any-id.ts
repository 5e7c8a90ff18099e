import { isUuid } from '@flowstate/contracts';

/** What a row may be found by: its own id, when `anyId` can be one of ours, and its external id. */
export function keysOf(anyId: string): { id: string | null; externalId: string | null } {
  // Postgres refuses U+0000, so nothing is stored under such a name.
  return { id: isUuid(anyId) ? anyId.toLowerCase() : null, externalId: anyId.includes('\0') ? null : anyId };
}
