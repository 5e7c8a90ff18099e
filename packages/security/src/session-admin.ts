import { FlowstateError, isUuid, type SessionReport } from '@flowstate/contracts';
import {
  findUserByEmail,
  listLiveSessions,
  readSession,
  readUser,
  revokeSession,
  revokeUserSessions,
  type LiveSessionSummary,
  type Sql,
  type User,
} from '@flowstate/store';
import type { Redis } from 'ioredis';
import type { AuditEntry, Operator } from './audit.ts';
import type { ChangeAudited } from './audited-change.ts';
import type { Sessions } from './sessions.ts';
import { verifySessions } from './verify-sessions.ts';

/**
 * What operators do about the logins of others; each change is one transaction with its entry in the audit log. A user is named by id or email; an unknown one is
 * `not_found`.
 */
export type SessionAdmin = {
  /** Live ones, newest first, older than the session `before`. */
  list(filter: {
    user?: string | undefined;
    before?: string | undefined;
    limit: number;
  }): Promise<LiveSessionSummary[]>;
  /** Ends one session; whose it was, null when there is none to end. */
  revoke(sessionId: string, by: Operator): Promise<{ userId: string } | null>;
  /** Ends all sessions of a user. */
  revokeUser(user: string, by: Operator): Promise<{ userId: string; revoked: number }>;
  verify(options: { repair: boolean; by: Operator }): Promise<SessionReport>;
};

export function createSessionAdmin({
  sql,
  redis,
  sessions,
  changeAudited,
}: {
  sql: Sql;
  redis: Redis;
  sessions: Pick<Sessions, 'forget'>;
  changeAudited: ChangeAudited;
}): SessionAdmin {
  return {
    async list({ user, ...page }) {
      const userId = user === undefined ? undefined : (await mustFind(sql, user)).id;
      return listLiveSessions(sql, { ...page, userId });
    },
    async revoke(id, by) {
      const session = await readSession(sql, id);
      if (session === null) return null;
      const { userId } = session;
      const revoked = await changeAudited(sql, async (tx, record) => {
        if (!(await revokeSession(tx, { id, userId }))) return false;
        await record(entryOf('session.revoked', by, { subject: userId, details: { ended: id } }));
        return true;
      });
      if (!revoked) return null;
      await sessions.forget(userId, [id]);
      return { userId };
    },
    async revokeUser(user, by) {
      const { id: userId } = await mustFind(sql, user);
      const ended = await changeAudited(sql, async (tx, record) => {
        const ended = await revokeUserSessions(tx, userId);
        await record(entryOf('session.all_revoked', by, { subject: userId, details: { revoked: ended.length } }));
        return ended;
      });
      await sessions.forget(userId, ended);
      return { userId, revoked: ended.length };
    },
    async verify({ repair, by }) {
      const report = await verifySessions({ sql, redis }, { repair });
      const details = { ...report.counts, repaired: report.repaired };
      await changeAudited(sql, (_tx, record) => record(entryOf('session.verified', by, { details })));
      return report;
    },
  };
}

function entryOf(
  action: string,
  by: Operator,
  { details, ...what }: Pick<AuditEntry, 'subject' | 'details'>,
): AuditEntry {
  return { action, ...what, actor: by.id, outcome: 'success', details: { ...details, ...by.details } };
}

async function mustFind(sql: Sql, user: string): Promise<User> {
  const found = isUuid(user) ? await readUser(sql, user) : await findUserByEmail(sql, user);
  if (found === null) throw new FlowstateError('not_found', `There is no user ${user}`);
  return found;
}
