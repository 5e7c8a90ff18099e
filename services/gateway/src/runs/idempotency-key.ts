import { createHash } from 'node:crypto';
import type { IdempotencyKey } from '@flowstate/store';

/** An `Idempotency-Key` header, with what it was sent with. */
export type GivenKey = { route: string; key: string; body: unknown };

/** What the ledger keeps of it. */
export function toIdempotencyKey({ body, ...given }: GivenKey): IdempotencyKey {
  return { ...given, bodyHash: fingerprint(body) };
}

/** Hash of the body in canonical form: keys sorted, so that two spellings of one object are one. */
function fingerprint(body: unknown): string {
  const canonical = JSON.stringify(body, (_key, value: unknown) =>
    value !== null && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
  return createHash('sha256').update(canonical).digest('base64url');
}
