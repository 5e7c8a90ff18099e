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
           u.barred AS "userDisabled",
           k.revoked_at IS NOT NULL OR coalesce(k.expires_at <= now(), false) AS ended
    FROM api_keys k JOIN users u ON u.id = k.user_id WHERE k.prefix = ${prefix}`;
  return row ?? null;
}

export async function touchApiKey(db: Db, id: string): Promise<void> {
  await db`UPDATE api_keys SET last_used_at = now() WHERE id = ${id}`;
}

/** Ends a key and raises the policy epoch, by which every gateway forgets it; false when it was ended or never was. */
export async function revokeApiKey(db: Db, id: string): Promise<boolean> {
  const rows = await db`
    WITH ended AS (
      UPDATE api_keys SET revoked_at = now() WHERE id = ${id} AND revoked_at IS NULL RETURNING id
    )
    UPDATE policy SET epoch = epoch + 1 WHERE EXISTS (SELECT 1 FROM ended) RETURNING epoch`;
  return rows.length === 1;
}

/** A key as people see it. */
export type ApiKeySummary = Pick<NewApiKey, 'prefix' | 'userId' | 'name' | 'scopes' | 'expiresAt'> & {
  id: string;
  user: string;
  createdAt: Date;
  lastUsedAt: Date | null;
  revokedAt: Date | null;
};

/** Keys newest first, older than the one named `before`; ended ones too. */
export async function listApiKeys(
  db: Db,
  { userId, before, limit }: { userId?: string | undefined; before?: string | undefined; limit: number },
): Promise<ApiKeySummary[]> {
  return db<ApiKeySummary[]>`
    SELECT k.id, k.prefix, k.user_id AS "userId", u.email AS user, k.name, k.scopes, k.created_at AS "createdAt",
           k.expires_at AS "expiresAt", k.last_used_at AS "lastUsedAt", k.revoked_at AS "revokedAt"
    FROM api_keys k JOIN users u ON u.id = k.user_id
    WHERE true
      ${userId === undefined ? db`` : db`AND k.user_id = ${userId}`}
      ${before === undefined ? db`` : db`AND k.id < ${before}`}
    ORDER BY k.id DESC LIMIT ${limit}`;
}
