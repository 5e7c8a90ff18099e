import type { Role } from '@flowstate/contracts';
import { v7 as uuidv7 } from 'uuid';
import type { Db } from '../client.ts';

export type NewApiKey = {
  prefix: string;
  /** SHA-256 of the whole key. */
  hash: Buffer;
  userId: string;
  name: string;
  scopes: string[];
  expiresAt: Date | null;
};

export type ApiKeyRecord = Pick<NewApiKey, 'hash' | 'userId' | 'scopes'> & {
  id: string;
  role: Role;
  userDisabled: boolean;
  /** Revoked, or past its end. */
  ended: boolean;
  lastUsedAt: Date | null;
};

export async function insertApiKey(db: Db, key: NewApiKey): Promise<string> {
  const id = uuidv7();
  await db`
    INSERT INTO api_keys (id, prefix, hash, user_id, name, scopes, expires_at)
    VALUES (${id}, ${key.prefix}, ${key.hash}, ${key.userId}, ${key.name}, ${key.scopes}, ${key.expiresAt})`;
  return id;
}

export async function findApiKey(db: Db, prefix: string): Promise<ApiKeyRecord | null> {
  const [row] = await db<ApiKeyRecord[]>`
    SELECT k.id, k.hash, k.user_id AS "userId", k.scopes, k.last_used_at AS "lastUsedAt", u.role,
           u.disabled_at IS NOT NULL AS "userDisabled",
           k.revoked_at IS NOT NULL OR coalesce(k.expires_at <= now(), false) AS ended
    FROM api_keys k JOIN users u ON u.id = k.user_id WHERE k.prefix = ${prefix}`;
  return row ?? null;
}

export async function touchApiKey(db: Db, id: string): Promise<void> {
  await db`UPDATE api_keys SET last_used_at = now() WHERE id = ${id}`;
}

export async function revokeApiKey(db: Db, id: string): Promise<boolean> {
  const rows = await db`UPDATE api_keys SET revoked_at = now() WHERE id = ${id} AND revoked_at IS NULL RETURNING id`;
  return rows.length === 1;
}
