import { FlowstateError, type Role } from '@flowstate/contracts';
import {
  createSharedReads,
  insertRefreshToken,
  insertSession,
  isDatabaseOutage,
  readSession,
  revokeSession,
  revokeUserSessions,
  rotateRefreshToken,
  touchSession,
  type NewSession,
  type SessionRecord,
  type Sql,
} from '@flowstate/store';
import type { Redis } from 'ioredis';
import type { PolicyWatch } from './policy-watch.ts';
import { hashToken, randomToken } from './secret-tokens.ts';
import { createSessionCopies, type SessionCopy } from './session-copies.ts';

export type LiveSession = { id: string; userId: string; role: Role; expiresAt: Date };

/** Why a session is no good; also the `reason` of the failure's metric. */
export type SessionRefusal = 'session_missing' | 'session_revoked' | 'session_expired' | 'user_disabled';

/** A reused token tells whose it was. */
export type RefreshRefusal =
  | { refused: 'refresh_unknown' }
  | { refused: 'refresh_reused'; userId: string; sessionId: string };

export type Sessions = {
  /** A new login. `refreshToken` is null for one that cannot be prolonged (a browser's). */
  open(
    session: NewSession,
    options: { refreshable: boolean },
  ): Promise<{ session: LiveSession; refreshToken: string | null }>;
  /** Is it good now? Throws `unavailable` only when neither Redis nor Postgres can say. */
  check(sessionId: string): Promise<LiveSession | SessionRefusal>;
  /** Trades a refresh token for the next one; a second use of the same ends the session. */
  refresh(refreshToken: string): Promise<{ session: LiveSession; refreshToken: string } | RefreshRefusal>;
  /** Ends one session of a user; false when there is none to end. */
  revoke(session: { id: string; userId: string }): Promise<boolean>;
  /** Ends all sessions of a user (but `except`): committed in Postgres, then deleted in Redis. Returns how many. */
  deleteUserSessions(userId: string, except?: string): Promise<number>;
  /** Sessions of a user were ended in Postgres, and that is committed: nobody believes their copies any more. */
  forget(userId: string, sessionIds: readonly string[]): Promise<void>;
};

const minuteMs = 60_000;
/** So long a copy is believed without asking Postgres again (well under the time revocations are polled for). */
const copyFreshMs = minuteMs;
/** Seconds a refresh token lasts unused. */
const refreshLifetime = 7 * 24 * 3600;

/**
 * Login sessions. Postgres is the record, Redis the copy asked on each request. A copy that is missing, a minute old,
 * or from before the last change of access is read again from Postgres (one indexed row).
 */
export function createSessions({ sql, redis, policy }: { sql: Sql; redis: Redis; policy: PolicyWatch }): Sessions {
  const copies = createSessionCopies(redis);
  const reads = createSharedReads<SessionCopy | null>();

  async function keepCopy(record: SessionRecord): Promise<void> {
    const { userId, role, epoch, expiresAt } = record;
    await copies.write(record.id, { userId, role, epoch, expiresAt: expiresAt.getTime(), readAt: Date.now() });
  }

  /** Undefined: the copy cannot decide. */
  function decideByCopy(
    id: string,
    copy: SessionCopy | null,
    anyAge: boolean,
  ): LiveSession | SessionRefusal | undefined {
    const epoch = policy.epoch();
    if (copy === null || epoch === undefined || copy.epoch < epoch) return undefined;
    // Dated ahead, and by more than clocks differ, it would be believed for longer.
    if (!anyAge && Math.abs(Date.now() - copy.readAt) > copyFreshMs) return undefined;
    if (copy.expiresAt <= Date.now()) return 'session_expired';
    return { id, userId: copy.userId, role: copy.role, expiresAt: new Date(copy.expiresAt) };
  }

  async function check(id: string): Promise<LiveSession | SessionRefusal> {
    if (policy.isRevoked(id)) return 'session_revoked';
    const copy = await reads.of(id, () => copies.read(id));
    const decided = decideByCopy(id, copy, !policy.reachable());
    if (decided !== undefined) return decided;
    let record: SessionRecord | null;
    try {
      record = await readSession(sql, id);
    } catch (cause) {
      if (!isDatabaseOutage(cause)) throw cause;
      const last = decideByCopy(id, copy, true);
      if (last !== undefined) return last;
      throw new FlowstateError('unavailable', 'Sessions cannot be checked right now', { cause });
    }
    if (record === null) return 'session_missing';
    policy.noteEpoch(record.epoch);
    const refusal = refusalOf(record);
    if (refusal !== undefined) return refusal;
    await keepCopy(record);
    if (Date.now() - record.lastSeenAt.getTime() > minuteMs) {
      touchSession(sql, id).catch(() => {}); // only tells the user when; never worth failing a request
    }
    return toLive(record);
  }

  return {
    async open(session, { refreshable }) {
      const refreshToken = refreshable ? createRefreshToken() : null;
      const record = await sql.begin(async (tx) => {
        const record = await insertSession(tx, session);
        if (refreshToken !== null) {
          await insertRefreshToken(tx, record.id, { hash: hashToken(refreshToken), lifetime: refreshLifetime });
        }
        return record;
      });
      policy.noteEpoch(record.epoch);
      await keepCopy(record);
      return { session: toLive(record), refreshToken };
    },

    check,

    async refresh(refreshToken) {
      const next = createRefreshToken();
      const rotation = await rotateRefreshToken(sql, hashToken(refreshToken), {
        hash: hashToken(next),
        lifetime: refreshLifetime,
      });
      if (rotation.outcome === 'refused') return { refused: 'refresh_unknown' };
      if (rotation.outcome === 'reused') {
        const { sessionId, userId } = rotation;
        await revoke({ id: sessionId, userId });
        return { refused: 'refresh_reused', sessionId, userId };
      }
      const record = await readSession(sql, rotation.sessionId);
      // Revoked in the same instant: the new token belongs to a dead family.
      if (record === null || refusalOf(record) !== undefined) return { refused: 'refresh_unknown' };
      await keepCopy(record);
      return { session: toLive(record), refreshToken: next };
    },

    revoke,

    async deleteUserSessions(userId, except) {
      const ids = await revokeUserSessions(sql, userId, except ?? null);
      await forget(userId, ids);
      return ids.length;
    },

    forget,
  };

  async function revoke(session: { id: string; userId: string }): Promise<boolean> {
    const revoked = await revokeSession(sql, session);
    if (revoked) await forget(session.userId, [session.id]);
    return revoked;
  }

  async function forget(userId: string, ids: readonly string[]): Promise<void> {
    policy.noteRevoked(ids);
    await copies.remove(userId, ids);
  }
}

function createRefreshToken(): string {
  return `fsr_${randomToken()}`;
}

function refusalOf(record: SessionRecord): SessionRefusal | undefined {
  if (record.revoked) return 'session_revoked';
  if (record.expiresAt.getTime() <= Date.now()) return 'session_expired';
  return record.userDisabled ? 'user_disabled' : undefined;
}

function toLive({ id, userId, role, expiresAt }: SessionRecord): LiveSession {
  return { id, userId, role, expiresAt };
}
