import type { Role } from '@flowstate/contracts';
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
};

const columns = (db: Db) => db`id, email, name, role, password_hash AS "passwordHash", disabled_at AS "disabledAt"`;

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

/** Changes what a user may do. Returns the new policy epoch, by which every gateway forgets what it knew. */
export async function changeUserAccess(
  db: Db,
  id: string,
  change: { role?: Role; disabled?: boolean },
): Promise<number | null> {
  const { role = null, disabled = null } = change;
  const [row] = await db<{ epoch: number }[]>`
    WITH changed AS (
      UPDATE users SET
        role = coalesce(${role}, role),
        disabled_at = CASE ${disabled}::boolean WHEN true THEN coalesce(disabled_at, now()) WHEN false THEN NULL ELSE disabled_at END
      WHERE id = ${id} RETURNING id
    )
    UPDATE policy SET epoch = epoch + 1 WHERE EXISTS (SELECT 1 FROM changed) RETURNING epoch`;
  return row?.epoch ?? null;
}
