import { isUuid } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { findUserByEmail, readUser, type User } from '../identity/users.ts';

/** Whom `user:<id or email>` or `key:<id or prefix>` names (a key acts as its user); null when there is nobody. */
export async function findSubject(db: Db, subject: string): Promise<User | null> {
  const [kind, name] = [subject.slice(0, subject.indexOf(':')), subject.slice(subject.indexOf(':') + 1)];
  if (kind === 'user') return isUuid(name) ? readUser(db, name) : findUserByEmail(db, name);
  if (kind !== 'key') return null;
  const [key] = await db<{ user_id: string }[]>`
    SELECT user_id FROM api_keys WHERE ${isUuid(name) ? db`id = ${name}` : db`prefix = ${name.replace(/^fsk_/, '')}`}`;
  return key === undefined ? null : readUser(db, key.user_id);
}
