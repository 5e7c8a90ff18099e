import { lowestId } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { keyLifetime } from '../ledger/accept.ts';

/** Place in the table of keys. */
export type KeyPlace = { principalId: string; route: string; key: string };

export const firstKey: KeyPlace = { principalId: lowestId, route: '', key: '' };

/**
 * Looks at `limit` idempotency keys after `after`, in the order of their index, and deletes those that are over:
 * no index on their age, which every accept would pay for. `next` is null at the end of the table.
 */
export async function deleteOldKeys(
  db: Db,
  after: KeyPlace,
  limit: number,
): Promise<{ deleted: number; next: KeyPlace | null }> {
  const [row] = await db<{ deleted: number; next: KeyPlace | null }[]>`
    WITH page AS (
      SELECT principal_id, route, key, created_at < now() - ${keyLifetime}::interval AS old FROM idempotency
      WHERE (principal_id, route, key) > (${after.principalId}, ${after.route}, ${after.key})
      ORDER BY principal_id, route, key LIMIT ${limit}
    ),
    gone AS (
      DELETE FROM idempotency i USING page p
      WHERE p.old AND i.principal_id = p.principal_id AND i.route = p.route AND i.key = p.key
        AND i.created_at < now() - ${keyLifetime}::interval -- taken anew meanwhile?
      RETURNING 1
    )
    SELECT (SELECT count(*) FROM gone) AS deleted, (
      SELECT json_build_object('principalId', principal_id, 'route', route, 'key', key) FROM page
      ORDER BY principal_id DESC, route DESC, key DESC LIMIT 1
    ) AS next`;
  return { deleted: row?.deleted ?? 0, next: row?.next ?? null };
}
