import { timingSafeEqual } from 'node:crypto';
import type { Role } from '@flowstate/contracts';
import { findApiKey, insertApiKey, touchApiKey, type Db, type NewApiKey, type Sql } from '@flowstate/store';
import { createFreshCache } from './fresh-cache.ts';
import type { PolicyWatch } from './policy-watch.ts';
import { hashToken, randomToken } from './secret-tokens.ts';

/** A key with this scope may do all its user's role may; others only what names their scope. */
export const wholeApi = 'api';

export type LiveApiKey = { id: string; userId: string; role: Role; scopes: string[] };
export type ApiKeyRefusal = 'api_key_unknown' | 'api_key_ended' | 'user_disabled';

export type ApiKeys = {
  /** Is this key good now (at most a second ago)? */
  check(key: string): Promise<LiveApiKey | ApiKeyRefusal>;
};

const form = /^fsk_([a-z0-9]{12})_[A-Za-z0-9_-]{43}$/;
const minuteMs = 60_000;

export function isApiKey(credential: string): boolean {
  return credential.startsWith('fsk_');
}

/** Makes a key for a user. It is shown this once: only its prefix and hash are stored. */
export async function createApiKey(
  db: Db,
  key: Pick<NewApiKey, 'userId' | 'name' | 'scopes'> & { expiresAt?: Date },
): Promise<{ id: string; key: string; prefix: string }> {
  const prefix = randomToken()
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, '')
    .slice(0, 12);
  const whole = `fsk_${prefix}_${randomToken()}`;
  const { expiresAt = null, ...rest } = key;
  const id = await insertApiKey(db, { ...rest, prefix, hash: hashToken(whole), expiresAt });
  return { id, key: whole, prefix };
}

export function createApiKeys(
  { sql, policy }: { sql: Sql; policy: PolicyWatch },
  { maxAgeMs = 1_000 }: { maxAgeMs?: number } = {},
): ApiKeys {
  const find = createFreshCache((prefix) => findApiKey(sql, prefix), { maxAgeMs, version: policy.epoch });

  return {
    async check(key) {
      const prefix = form.exec(key)?.[1];
      const record = prefix === undefined ? null : await find(prefix);
      if (record === null || !timingSafeEqual(record.hash, hashToken(key))) return 'api_key_unknown';
      if (record.ended) return 'api_key_ended';
      if (record.userDisabled) return 'user_disabled';
      const { id, userId, role, scopes, lastUsedAt } = record;
      if (Date.now() - (lastUsedAt?.getTime() ?? 0) > minuteMs) {
        record.lastUsedAt = new Date();
        touchApiKey(sql, id).catch(() => {}); // only tells people when it was used; never worth failing a request
      }
      return { id, userId, role, scopes };
    },
  };
}
