import type { FollowUpInput } from '@flowstate/contracts';
import { v7 as uuidv7 } from 'uuid';
import type { Db } from '../client.ts';

export type NewFollowUp = FollowUpInput & {
  customerId: string;
  principalId: string;
  runId: string | null;
  /** Asked again with it, it is the same follow-up. */
  key: string | null;
};

/** Stores a follow-up once per principal and key. `conflict`: another one stands under that key. */
export async function addFollowUp(
  db: Db,
  { customerId, principalId, runId, key, subject, note = null, due = null }: NewFollowUp,
): Promise<{ id: string; created: boolean } | 'conflict'> {
  const [added] = await db<{ id: string }[]>`
    INSERT INTO follow_ups (id, customer_id, principal_id, run_id, idempotency_key, subject, note, due)
    VALUES (${uuidv7()}, ${customerId}, ${principalId}, ${runId}, ${key}, ${subject}, ${note}, ${due}::text::date)
    ON CONFLICT (principal_id, idempotency_key) DO NOTHING RETURNING id`;
  if (added !== undefined) return { id: added.id, created: true };
  const [known] = await db<{ id: string; same: boolean }[]>`
    SELECT id, (customer_id, subject, note, due) IS NOT DISTINCT FROM
               (${customerId}::uuid, ${subject}::text, ${note}::text, ${due}::text::date) AS same
    FROM follow_ups WHERE principal_id = ${principalId} AND idempotency_key = ${key}`;
  return known?.same === true ? { id: known.id, created: false } : 'conflict';
}
