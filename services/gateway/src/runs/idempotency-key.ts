import { createHash } from 'node:crypto';
import type { IdempotencyKey } from '@flowstate/store';
import type { StartRun } from '../deps.ts';

/** What the ledger keeps of a request's `Idempotency-Key`; null without one. */
export function keyOf({ idempotency }: StartRun): IdempotencyKey | null {
  if (idempotency === undefined) return null;
  const { route, key, body } = idempotency;
  return { route, key, bodyHash: fingerprint(body) };
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
