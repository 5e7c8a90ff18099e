import { FlowstateError, type Role } from '@flowstate/contracts';
import { v7 as uuidv7 } from 'uuid';
import type { Db } from '../client.ts';

export type User = {
  id: string;
  email: string;
  name: string;
  role: Role;
  /** Null: nobody logs in with a password as this user. */
  passwordHash: string | null;
  disabledAt: Date | null;
  containedAt: Date | null;
  createdAt: Date;
};

const columns = (db: Db) => db`id, email, name, role, password_hash AS "passwordHash", disabled_at AS "disabledAt",
  contained_at AS "containedAt", created_at AS "createdAt"`;

/** Upper and lower case of an email address are the same user. */
export async function findUserByEmail(db: Db, email: string): Promise<User | null> {
  const [user] = await db<User[]>`SELECT ${columns(db)} FROM users WHERE lower(email) = lower(${email})`;
  return user ?? null;
}

export async function readUser(db: Db, id: string): Promise<User | null> {
  const [user] = await db<User[]>`SELECT ${columns(db)} FROM users WHERE id = ${id}`;
  return user ?? null;
}

/** Adds a user; an email that is taken changes nothing and answers null. */
export async function insertUser(
  db: Db,
  user: Pick<User, 'email' | 'name' | 'role' | 'passwordHash'>,
): Promise<User | null> {
  const [row] = await db<User[]>`
    INSERT INTO users (id, email, name, role, password_hash)
    VALUES (${uuidv7()}, ${user.email}, ${user.name}, ${user.role}, ${user.passwordHash})
    ON CONFLICT (lower(email)) DO NOTHING RETURNING ${columns(db)}`;
  return row ?? null;
}

export async function setPasswordHash(db: Db, id: string, passwordHash: string): Promise<void> {
  await db`UPDATE users SET password_hash = ${passwordHash} WHERE id = ${id}`;
}

export type UserChange = { name?: string | undefined; role?: Role | undefined; disabled?: boolean | undefined };

/**
 * Changes a user, in a transaction of its own unless it is given one. Returns the new policy epoch, by which every
 * gateway forgets what it knew; null when there is no such user. Throws `conflict` when nobody would be left who can log
 * in as an administrator.
 */
export async function changeUserAccess(db: Db, id: string, change: UserChange): Promise<number | null> {
  if ('begin' in db) return db.begin((tx) => changeUserAccess(tx, id, change));
  const { name = null, role = null, disabled = null } = change;
  // The lock on this row lets one change at a time see whether it takes the last administrator.
  const epoch = await raiseEpoch(db);
  const [before] = await db<{ admin: boolean }[]>`SELECT ${isAdmin(db)} AS admin FROM users WHERE id = ${id}`;
  if (before === undefined) return null;
  await db`
    UPDATE users SET name = coalesce(${name}, name), role = coalesce(${role}, role),
      disabled_at = CASE ${disabled}::boolean
        WHEN true THEN coalesce(disabled_at, now()) WHEN false THEN NULL ELSE disabled_at END
    WHERE id = ${id}`;
  if (before.admin && (await countAdmins(db)) === 0) {
    throw new FlowstateError('conflict', 'This is the last administrator who can log in: make another one first');
  }
  return epoch;
}

/** Every gateway notices within a second. Whoever raises it waits for others who do so in a transaction. */
export async function raiseEpoch(db: Db): Promise<number> {
  const [row] = await db<{ epoch: number }[]>`UPDATE policy SET epoch = epoch + 1 RETURNING epoch`;
  if (row === undefined) throw new Error('the policy row is missing');
  return row.epoch;
}

/** How many users can log in as administrators. */
export async function countAdmins(db: Db): Promise<number> {
  const [row] = await db<{ count: number }[]>`SELECT count(*) FROM users WHERE ${isAdmin(db)}`;
  return row?.count ?? 0;
}

const isAdmin = (db: Db) => db`(role = 'admin' AND NOT barred AND password_hash IS NOT NULL)`;

export type UserFilter = {
  role?: Role | undefined;
  email?: string | undefined;
  before?: string | undefined;
  limit: number;
};

/** Users newest first, older than the one named `before`. */
export async function listUsers(db: Db, { role, email, before, limit }: UserFilter): Promise<User[]> {
  return db<User[]>`
    SELECT ${columns(db)} FROM users
    WHERE true
      ${role === undefined ? db`` : db`AND role = ${role}`}
      ${email === undefined ? db`` : db`AND lower(email) = lower(${email})`}
      ${before === undefined ? db`` : db`AND id < ${before}`}
    ORDER BY id DESC LIMIT ${limit}`;
}
