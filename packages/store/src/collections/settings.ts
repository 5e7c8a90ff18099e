import { invalidInput, type CollectionBody, type Viewer } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { lockManaged } from './manage.ts';

/**
 * Makes a collection or changes its settings, within a transaction of the caller. Says whether it is new; then it is
 * its maker's, unless an owner is named. Throws what `lockManaged` throws, and `invalid_input` for an owner who is no
 * user or a private collection without one.
 */
export async function writeCollection(
  tx: Db,
  name: string,
  { ownerId, visibility, cacheTtlSeconds }: CollectionBody,
  viewer: Viewer,
): Promise<{ created: boolean }> {
  if (ownerId !== undefined) await mustBeUser(tx, ownerId);
  const { count } = await tx`
    INSERT INTO collections (name, owner_id, visibility, cache_ttl_seconds)
    VALUES (${name}, ${ownerId ?? viewer.id}, ${visibility ?? 'shared'}, ${cacheTtlSeconds ?? null})
    ON CONFLICT DO NOTHING`;
  if (count > 0) return { created: true };
  await lockManaged(tx, name, viewer);
  const [row] = await tx<{ sound: boolean }[]>`
    SELECT coalesce(${visibility ?? null}, visibility) = 'shared' OR coalesce(${ownerId ?? null}, owner_id) IS NOT NULL
      AS sound
    FROM collections WHERE name = ${name}`;
  if (row?.sound === false) {
    throw invalidInput([{ field: 'ownerId', message: 'is required: a private collection has an owner' }]);
  }
  await tx`
    UPDATE collections SET
      owner_id = coalesce(${ownerId ?? null}, owner_id),
      visibility = coalesce(${visibility ?? null}, visibility)
      ${cacheTtlSeconds === undefined ? tx`` : tx`, cache_ttl_seconds = ${cacheTtlSeconds}`}
    WHERE name = ${name}`;
  return { created: false };
}

async function mustBeUser(tx: Db, id: string): Promise<void> {
  const [user] = await tx`SELECT FROM users WHERE id = ${id}`;
  if (user === undefined) throw invalidInput([{ field: 'ownerId', message: 'is no user' }]);
}
