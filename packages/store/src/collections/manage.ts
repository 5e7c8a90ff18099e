import { FlowstateError, type Viewer } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { NoCollectionError, visibleTo } from '../documents/collections.ts';

/**
 * Locks a collection for a change by its owner or an administrator, `alone`: with nobody writing its documents. Throws
 * `not_found` for who does not see it and `forbidden` for who does but may not change it.
 */
export async function lockManaged(tx: Db, name: string, viewer: Viewer, { alone = false } = {}): Promise<void> {
  const [row] = await tx<{ owned: boolean; visible: boolean }[]>`
    SELECT c.owner_id IS NOT DISTINCT FROM ${viewer.id}::uuid AS owned,
           EXISTS (SELECT FROM ${visibleTo(tx, viewer)} v WHERE v.name = c.name) AS visible
    FROM collections c WHERE c.name = ${name} FOR ${alone ? tx`UPDATE` : tx`NO KEY UPDATE`} OF c`;
  const isAdmin = viewer.role === 'admin';
  if (row === undefined || !(row.visible || isAdmin)) throw new NoCollectionError(name);
  if (row.owned || isAdmin) return;
  throw new FlowstateError('forbidden', `Only the owner of ${name} or an administrator may do this`);
}
