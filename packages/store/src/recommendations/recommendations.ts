import type { RecommendationKind } from '@flowstate/contracts';
import { v7 as uuidv7 } from 'uuid';
import type { Db } from '../client.ts';

export type RecommendedItem = { kind: RecommendationKind; item: string };

/** Keeps what was recommended to whom, so that feedback can be about it. Returns its id. */
export async function insertRecommendation(
  db: Db,
  { customerId, principalId, items }: { customerId: string; principalId: string; items: readonly RecommendedItem[] },
): Promise<string> {
  const id = uuidv7();
  await db`
    INSERT INTO recommendations (id, customer_id, principal_id, items)
    VALUES (${id}, ${customerId}, ${principalId}, ${JSON.stringify(items)}::text::jsonb)`;
  return id;
}

/** Whom it was made for and what it had; null when there is none (any more). */
export async function findRecommendation(
  db: Db,
  id: string,
): Promise<{ customerId: string; principalId: string; items: RecommendedItem[] } | null> {
  const [row] = await db<{ customerId: string; principalId: string; items: RecommendedItem[] }[]>`
    SELECT customer_id AS "customerId", principal_id AS "principalId", items FROM recommendations WHERE id = ${id}`;
  return row ?? null;
}
