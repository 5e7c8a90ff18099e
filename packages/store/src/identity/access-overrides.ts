import type { Role } from '@flowstate/contracts';
import { v7 as uuidv7 } from 'uuid';
import type { Db } from '../client.ts';

export type NewOverride = {
  target: string;
  roles: Role[];
  reason: string;
  authorId: string;
  /** Seconds until it ends by itself. */
  seconds: number;
};

export type StoredOverride = Omit<NewOverride, 'seconds'> & {
  id: string;
  author: string;
  createdAt: Date;
  expiresAt: Date;
  releasedAt: Date | null;
};

const columns = (db: Db) => db`
  o.id, o.target, o.roles, o.reason, o.author_id AS "authorId", u.email AS author, o.created_at AS "createdAt",
  o.expires_at AS "expiresAt", o.released_at AS "releasedAt"`;

/** Puts an override in force and raises the policy epoch, in one statement. */
export async function insertOverride(db: Db, override: NewOverride): Promise<StoredOverride> {
  const [row] = await db<StoredOverride[]>`
    WITH raised AS (UPDATE policy SET epoch = epoch + 1),
    o AS (
      INSERT INTO access_overrides (id, target, roles, reason, author_id, expires_at)
      VALUES (${uuidv7()}, ${override.target}, ${override.roles}, ${override.reason}, ${override.authorId},
              now() + ${override.seconds} * interval '1 second')
      RETURNING *
    )
    SELECT ${columns(db)} FROM o JOIN users u ON u.id = o.author_id`;
  if (row === undefined) throw new Error('an override was not stored');
  return row;
}

/** Overrides newest first, older than the one named `before`; by default only those in force. */
export async function listOverrides(
  db: Db,
  { all, before, limit }: { all: boolean; before?: string | undefined; limit: number },
): Promise<StoredOverride[]> {
  return db<StoredOverride[]>`
    SELECT ${columns(db)} FROM access_overrides o JOIN users u ON u.id = o.author_id
    WHERE ${all ? db`true` : db`o.released_at IS NULL AND o.expires_at > now()`}
      ${before === undefined ? db`` : db`AND o.id < ${before}`}
    ORDER BY o.id DESC LIMIT ${limit}`;
}

/** Ends an override before its time and raises the policy epoch; null when it is not in force. */
export async function releaseOverride(
  db: Db,
  { id, releasedBy }: { id: string; releasedBy: string },
): Promise<StoredOverride | null> {
  const [row] = await db<StoredOverride[]>`
    WITH o AS (
      UPDATE access_overrides SET released_at = now(), released_by = ${releasedBy}
      WHERE id = ${id} AND released_at IS NULL AND expires_at > now() RETURNING *
    ),
    raised AS (UPDATE policy SET epoch = epoch + 1 WHERE EXISTS (SELECT 1 FROM o))
    SELECT ${columns(db)} FROM o JOIN users u ON u.id = o.author_id`;
  return row ?? null;
}
