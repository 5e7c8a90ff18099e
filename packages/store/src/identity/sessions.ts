import { FlowstateError, type Role } from '@flowstate/contracts';
import { v7 as uuidv7 } from 'uuid';
import type { Db } from '../client.ts';

/** A session with what decides whether it is good and what its user may do, as of one moment. */
export type SessionRecord = {
  id: string;
  userId: string;
  role: Role;
  userDisabled: boolean;
  revoked: boolean;
  lastSeenAt: Date;
  expiresAt: Date;
  /** Policy epoch of that moment. */
  epoch: number;
};

export type NewSession = {
  userId: string;
  /** Seconds until it ends, whatever happens in it. */
  lifetime: number;
  userAgent: string | null;
  address: string | null;
  /** Of the password that proved who they are: once they have another one, it opens nothing any more. */
  passwordHash?: string | null;
};

/** What a user sees of a login. */
export type SessionSummary = {
  id: string;
  createdAt: Date;
  lastSeenAt: Date;
  expiresAt: Date;
  userAgent: string | null;
  address: string | null;
};

/** The same, with whose it is. */
export type LiveSessionSummary = SessionSummary & { userId: string; user: string; role: Role };

const record = (db: Db) => db`
  s.id, s.user_id AS "userId", u.role, u.barred AS "userDisabled", s.revoked_at IS NOT NULL AS revoked,
  s.last_seen_at AS "lastSeenAt", s.expires_at AS "expiresAt", p.epoch`;

/** Throws `invalid_credentials` when its user may not log in (any more). */
export async function insertSession(db: Db, session: NewSession): Promise<SessionRecord> {
  const { passwordHash: proven = null } = session;
  const [row] = await db<SessionRecord[]>`
    WITH s AS (
      INSERT INTO sessions (id, user_id, expires_at, user_agent, address)
      SELECT ${uuidv7()}, id, now() + ${session.lifetime} * interval '1 second', ${session.userAgent}, ${session.address}
      -- Shared: of a login and a containment (or another password) at once, the second sees what the first did.
      FROM users
      WHERE id = ${session.userId} AND NOT barred AND password_hash IS NOT DISTINCT FROM coalesce(${proven}, password_hash)
      FOR SHARE
      RETURNING *
    )
    SELECT ${record(db)} FROM s JOIN users u ON u.id = s.user_id, policy p`;
  if (row === undefined) throw new FlowstateError('invalid_credentials', 'This user may not log in');
  return row;
}

/** One row by primary key; null for a session that never was. */
export async function readSession(db: Db, id: string): Promise<SessionRecord | null> {
  const [row] = await db<SessionRecord[]>`
    SELECT ${record(db)} FROM sessions s JOIN users u ON u.id = s.user_id, policy p WHERE s.id = ${id}`;
  return row ?? null;
}

/** Those of `ids` there are, ended ones too. */
export async function readSessions(db: Db, ids: readonly string[]): Promise<SessionRecord[]> {
  return db<SessionRecord[]>`
    SELECT ${record(db)} FROM sessions s JOIN users u ON u.id = s.user_id, policy p WHERE s.id = ANY(${ids}::uuid[])`;
}

export async function touchSession(db: Db, id: string): Promise<void> {
  await db`UPDATE sessions SET last_seen_at = now() WHERE id = ${id}`;
}

/** A user's live logins, newest first, older than the session `before`. */
export async function listSessions(
  db: Db,
  { userId, before, limit }: { userId: string; before?: string | undefined; limit: number },
): Promise<SessionSummary[]> {
  return db<SessionSummary[]>`
    SELECT id, created_at AS "createdAt", last_seen_at AS "lastSeenAt", expires_at AS "expiresAt",
           user_agent AS "userAgent", address
    FROM sessions
    WHERE user_id = ${userId} AND revoked_at IS NULL AND expires_at > now()
      ${before === undefined ? db`` : db`AND id < ${before}`}
    ORDER BY id DESC LIMIT ${limit}`;
}

/** Live logins of everybody (or of one user), newest first, older than the session `before`. */
export async function listLiveSessions(
  db: Db,
  { userId, before, limit }: { userId?: string | undefined; before?: string | undefined; limit: number },
): Promise<LiveSessionSummary[]> {
  return db<LiveSessionSummary[]>`
    SELECT s.id, s.created_at AS "createdAt", s.last_seen_at AS "lastSeenAt", s.expires_at AS "expiresAt",
           s.user_agent AS "userAgent", s.address, u.id AS "userId", u.email AS user, u.role
    FROM sessions s JOIN users u ON u.id = s.user_id
    WHERE s.revoked_at IS NULL AND s.expires_at > now() AND NOT u.barred
      ${userId === undefined ? db`` : db`AND s.user_id = ${userId}`}
      ${before === undefined ? db`` : db`AND s.id < ${before}`}
    ORDER BY s.id DESC LIMIT ${limit}`;
}

export async function countLiveSessions(db: Db): Promise<number> {
  const [row] = await db<{ count: number }[]>`
    SELECT count(*) FROM sessions s JOIN users u ON u.id = s.user_id
    WHERE s.revoked_at IS NULL AND s.expires_at > now() AND NOT u.barred`;
  return row?.count ?? 0;
}

/** Ends one session of a user; false when there is none to end. */
export async function revokeSession(db: Db, { id, userId }: { id: string; userId: string }): Promise<boolean> {
  const rows = await db`
    UPDATE sessions SET revoked_at = now() WHERE id = ${id} AND user_id = ${userId} AND revoked_at IS NULL RETURNING id`;
  return rows.length === 1;
}

/** Ends all sessions of a user, but `except`; returns which. */
export async function revokeUserSessions(db: Db, userId: string, except: string | null = null): Promise<string[]> {
  const rows = await db<{ id: string }[]>`
    UPDATE sessions SET revoked_at = now()
    WHERE user_id = ${userId} AND revoked_at IS NULL AND id IS DISTINCT FROM ${except} RETURNING id`;
  return rows.map((row) => row.id);
}
