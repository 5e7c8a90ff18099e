import type { Db } from '../client.ts';

/** SHA-256 of the token; the token itself is only ever in its holder's hands. */
export type NewRefreshToken = {
  hash: Buffer;
  /** Seconds; never beyond its session's end. */
  lifetime: number;
};

export async function insertRefreshToken(db: Db, sessionId: string, token: NewRefreshToken): Promise<void> {
  await db`
    INSERT INTO refresh_tokens (hash, session_id, expires_at)
    SELECT ${token.hash}, id, least(expires_at, now() + ${token.lifetime} * interval '1 second')
    FROM sessions WHERE id = ${sessionId}`;
}

export type Rotation =
  | { outcome: 'rotated'; sessionId: string }
  /** Somebody had used it before: holder or thief, one of the two is not the user. */
  | { outcome: 'reused'; sessionId: string; userId: string }
  | { outcome: 'refused' };

/** Trades a refresh token for `next`, once. Of two callers at the same time one gets `reused`. */
export async function rotateRefreshToken(db: Db, hash: Buffer, next: NewRefreshToken): Promise<Rotation> {
  const [rotated] = await db<{ session_id: string }[]>`
    WITH used AS (
      UPDATE refresh_tokens t SET used_at = now()
      FROM sessions s JOIN users u ON u.id = s.user_id
      WHERE t.hash = ${hash} AND t.used_at IS NULL AND t.expires_at > now() AND s.id = t.session_id
        AND s.revoked_at IS NULL AND s.expires_at > now() AND NOT u.barred
      RETURNING t.session_id, s.expires_at
    )
    INSERT INTO refresh_tokens (hash, session_id, expires_at)
    SELECT ${next.hash}, session_id, least(expires_at, now() + ${next.lifetime} * interval '1 second') FROM used
    RETURNING session_id`;
  if (rotated) return { outcome: 'rotated', sessionId: rotated.session_id };
  const [reused] = await db<{ session_id: string; user_id: string }[]>`
    SELECT t.session_id, s.user_id FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id
    WHERE t.hash = ${hash} AND t.used_at IS NOT NULL`;
  return reused ? { outcome: 'reused', sessionId: reused.session_id, userId: reused.user_id } : { outcome: 'refused' };
}
