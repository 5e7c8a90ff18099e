import type { Db } from '../client.ts';
import type { RecommendedItem } from './recommendations.ts';

export type OpinionOutcome = 'new' | 'changed' | 'same';

/** Keeps what a principal says of an item for a customer, in place of what they said before. */
export async function recordOpinion(
  db: Db,
  {
    customerId,
    principalId,
    kind,
    item,
    helpful,
  }: RecommendedItem & { customerId: string; principalId: string; helpful: boolean },
): Promise<OpinionOutcome> {
  const [row] = await db<{ changed: boolean }[]>`
    INSERT INTO recommendation_feedback AS f (customer_id, kind, item, principal_id, helpful)
    VALUES (${customerId}, ${kind}, ${item}, ${principalId}, ${helpful})
    ON CONFLICT (customer_id, kind, item, principal_id) DO UPDATE SET helpful = excluded.helpful, at = now()
    WHERE f.helpful <> excluded.helpful
    RETURNING xmax <> 0 AS changed`;
  return row === undefined ? 'same' : row.changed ? 'changed' : 'new';
}
