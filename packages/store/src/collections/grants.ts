import { FlowstateError, type GranteeKind, type Viewer } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { lockManaged } from './manage.ts';

type Grant = {
  collection: string;
  kind: GranteeKind;
  /** A user's id or a role. */
  grantee: string;
};

/**
 * Lets a user or all of a role see a collection that is private, or may become so; again changes nothing. Throws what
 * `lockManaged` throws, and `not_found` for a user who is not there.
 */
export async function grantCollection(
  tx: Db,
  { collection, kind, grantee }: Grant,
  viewer: Viewer,
): Promise<{ changed: boolean }> {
  await lockManaged(tx, collection, viewer);
  if (kind === 'users') {
    const [user] = await tx`SELECT FROM users WHERE id = ${grantee}`;
    if (user === undefined) throw new FlowstateError('not_found', `There is no user ${grantee}`);
  }
  const { user, role } = columnsOf(kind, grantee);
  const { count } = await tx`
    INSERT INTO collection_grants (collection, user_id, role, granted_by)
    SELECT ${collection}, ${user}, ${role}, ${viewer.id}::uuid
    WHERE NOT EXISTS (${find(tx, { collection, kind, grantee })})`;
  return { changed: count > 0 };
}

/** Takes it back. Throws what `lockManaged` throws. */
export async function revokeCollection(tx: Db, grant: Grant, viewer: Viewer): Promise<{ changed: boolean }> {
  await lockManaged(tx, grant.collection, viewer);
  const { user, role } = columnsOf(grant.kind, grant.grantee);
  const { count } = await tx`
    DELETE FROM collection_grants WHERE collection = ${grant.collection} AND (user_id = ${user} OR role = ${role})`;
  return { changed: count > 0 };
}

function find(tx: Db, { collection, kind, grantee }: Grant) {
  const { user, role } = columnsOf(kind, grantee);
  return tx`
    SELECT FROM collection_grants WHERE collection = ${collection} AND (user_id = ${user} OR role = ${role})`;
}

function columnsOf(kind: GranteeKind, grantee: string): { user: string | null; role: string | null } {
  return kind === 'users' ? { user: grantee, role: null } : { user: null, role: grantee };
}
