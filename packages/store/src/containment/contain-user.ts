import { FlowstateError } from '@flowstate/contracts';
import { v7 as uuidv7 } from 'uuid';
import type { Db } from '../client.ts';
import { countAdmins, raiseEpoch } from '../identity/users.ts';

export type Contained = {
  id: string;
  /** Since when it is waited for processes, by the clock of Postgres: the first call that not all have obeyed yet. */
  since: Date;
  sessions: number;
  /** Sessions whose copies must go: also those an earlier call ended, which may not have come to that. */
  forget: string[];
  families: number;
  keys: number;
};

/**
 * Takes a user's access in one transaction: no login, no session, no refresh, no key is good after it, and the policy
 * epoch tells everybody. Their runs are the caller's next step; none of them is begun once this is committed. Again it
 * goes on with the containment that is open. Throws `not_found`, and `conflict` for the last administrator.
 */
export async function containUser(
  tx: Db,
  { userId, reason, authorId }: { userId: string; reason: string; authorId: string | null },
): Promise<Contained> {
  // First, as every change of access does: its row's lock lets one of them at a time look for administrators.
  await raiseEpoch(tx);
  // Waits for logins under way: the sessions they open are seen, and ended, below.
  const [user] = await tx<{ admin: boolean }[]>`
    UPDATE users SET contained_at = coalesce(contained_at, now()) WHERE id = ${userId}
    RETURNING role = 'admin' AND disabled_at IS NULL AND password_hash IS NOT NULL AS admin`;
  if (user === undefined) throw new FlowstateError('not_found', `There is no user ${userId}`);
  if (user.admin && (await countAdmins(tx)) === 0) {
    throw new FlowstateError('conflict', 'This is the last administrator who can log in: make another one first');
  }
  const sessions = await tx<{ family: boolean }[]>`
    UPDATE sessions s SET revoked_at = now() WHERE user_id = ${userId} AND revoked_at IS NULL
    RETURNING EXISTS (
      SELECT FROM refresh_tokens t WHERE t.session_id = s.id AND t.used_at IS NULL AND t.expires_at > now()
    ) AS family`;
  const { count: keys } = await tx`
    UPDATE api_keys SET revoked_at = now() WHERE user_id = ${userId} AND revoked_at IS NULL`;
  const families = sessions.filter(({ family }) => family).length;
  const [row] = await tx<{ id: string; since: Date }[]>`
    INSERT INTO containments AS c (id, user_id, reason, author_id, sessions, families, keys)
    VALUES (${uuidv7()}, ${userId}, ${reason}, ${authorId}, ${sessions.length}, ${families}, ${keys})
    ON CONFLICT (user_id) WHERE released_at IS NULL DO UPDATE
      SET sessions = c.sessions + excluded.sessions, families = c.families + excluded.families,
          keys = c.keys + excluded.keys
    RETURNING id, CASE WHEN c.obeyed_ms IS NULL THEN least(c.contained_at, now()) ELSE now() END AS since`;
  if (row === undefined) throw new Error('a containment was not stored');
  const ended = await tx<{ id: string }[]>`SELECT id FROM sessions WHERE user_id = ${userId} AND expires_at > now()`;
  const forget = ended.map(({ id }) => id);
  return { id: row.id, since: row.since, sessions: sessions.length, forget, families, keys };
}
