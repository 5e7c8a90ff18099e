const uuid = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

/** The UUID in `anyId` when it is one of our ids, null when it can only be an external id. */
export function asUuid(anyId: string): string | null {
  return uuid.test(anyId) ? anyId.toLowerCase() : null;
}
