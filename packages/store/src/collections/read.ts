import type { CollectionDetails, Viewer } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { visibleTo } from '../documents/collections.ts';

type Row = Omit<CollectionDetails, 'createdAt'> & { number: number; createdAt: Date };
export type ListedCollection = CollectionDetails & {
  /** Its place in the order in which collections came into being. */
  number: number;
};

/**
 * Collections the viewer sees, newest first, made before the one with that number; administrators know of all, so that
 * they can say who sees them. Grants are told to those who may change them.
 */
export async function listCollections(
  db: Db,
  viewer: Viewer,
  { before, limit, name }: { before?: number | undefined; limit: number; name?: string },
): Promise<ListedCollection[]> {
  const rows = await db<Row[]>`
    SELECT c.name, c.owner_id AS "ownerId", c.visibility, c.model, c.dimensions, c.version,
      c.access_epoch AS "accessEpoch", c.cache_ttl_seconds AS "cacheTtlSeconds", c.created_at AS "createdAt", c.number,
      CASE WHEN ${viewer.role} = 'admin' OR c.owner_id = ${viewer.id} THEN coalesce((
        SELECT json_agg(json_build_object(
          'kind', CASE WHEN g.role IS NULL THEN 'users' ELSE 'roles' END,
          'grantee', coalesce(g.role, g.user_id::text),
          'grantedBy', g.granted_by,
          'grantedAt', to_char(g.granted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
        ) ORDER BY g.granted_at, g.role, g.user_id)
        FROM collection_grants g WHERE g.collection = c.name), '[]') END AS grants
    FROM ${viewer.role === 'admin' ? db`collections` : visibleTo(db, viewer)} c
    WHERE true
      ${name === undefined ? db`` : db`AND c.name = ${name}`}
      ${before === undefined ? db`` : db`AND c.number < ${before}`}
    ORDER BY c.number DESC LIMIT ${limit}`;
  return rows.map(({ createdAt, ...row }) => ({ ...row, createdAt: createdAt.toISOString() }));
}
