import { FlowstateError, type SessionReport } from '@flowstate/contracts';
import {
  findUserByEmail,
  listLiveSessions,
  readSession,
  readUser,
  type LiveSessionSummary,
  type Sql,
  type User,
} from '@flowstate/store';
import type { Redis } from 'ioredis';
import type { Sessions } from './sessions.ts';
import { verifySessions } from './verify-sessions.ts';

/** What operators do about the logins of others. A user is named by id or email; an unknown one is `not_found`. */
export type SessionAdmin = {
  /** Live ones, newest first, older than the session `before`. */
  list(filter: {
    user?: string | undefined;
    before?: string | undefined;
    limit: number;
  }): Promise<LiveSessionSummary[]>;
  /** Ends one session; whose it was, null when there is none to end. */
  revoke(sessionId: string): Promise<{ userId: string } | null>;
  /** Ends all sessions of a user. */
  revokeUser(user: string): Promise<{ userId: string; revoked: number }>;
  verify(options: { repair: boolean }): Promise<SessionReport>;
};

export function createSessionAdmin({
  sql,
  redis,
  sessions,
}: {
  sql: Sql;
  redis: Redis;
  sessions: Pick<Sessions, 'revoke' | 'deleteUserSessions'>;
}): SessionAdmin {
  return {
    async list({ user, ...page }) {
      const userId = user === undefined ? undefined : (await mustFind(sql, user)).id;
      return listLiveSessions(sql, { ...page, userId });
    },
    async revoke(id) {
      const session = await readSession(sql, id);
      if (session === null || !(await sessions.revoke({ id, userId: session.userId }))) return null;
      return { userId: session.userId };
    },
    async revokeUser(user) {
      const { id: userId } = await mustFind(sql, user);
      return { userId, revoked: await sessions.deleteUserSessions(userId) };
    },
    verify: (options) => verifySessions({ sql, redis }, options),
  };
}

async function mustFind(sql: Sql, user: string): Promise<User> {
  const isId = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(user);
  const found = isId ? await readUser(sql, user) : await findUserByEmail(sql, user);
  if (found === null) throw new FlowstateError('not_found', `There is no user ${user}`);
  return found;
}
