import { createCheck, RoleName } from '@flowstate/contracts';
import { inRedisSpan } from '@flowstate/tracing';
import type { Redis } from 'ioredis';
import Type, { type Static } from 'typebox';

const SessionCopy = Type.Object({
  userId: Type.String(),
  role: RoleName,
  /** Milliseconds since 1970. */
  expiresAt: Type.Number(),
  epoch: Type.Number(),
  /** When Postgres said so, milliseconds since 1970. */
  readAt: Type.Number(),
});
export type SessionCopy = Static<typeof SessionCopy>;

const checkCopy = createCheck(SessionCopy);

export const sessionKey = (sessionId: string) => `flowstate:session:${sessionId}`;
export const userSessionsKey = (userId: string) => `flowstate:user-sessions:${userId}`;

export type SessionCopies = {
  /** Null when there is none that can be read: lost, garbled, or Redis is away. */
  read(sessionId: string): Promise<SessionCopy | null>;
  write(sessionId: string, copy: SessionCopy): Promise<void>;
  remove(userId: string, sessionIds: readonly string[]): Promise<void>;
};

/** A copy from its text; null for none, or one that cannot be read. */
export function readCopy(json: string | null): SessionCopy | null {
  try {
    return json === null ? null : checkCopy(JSON.parse(json));
  } catch {
    return null;
  }
}

/** Copies of good sessions in Redis, and per user which there are. Nothing here ever fails a request. */
export function createSessionCopies(redis: Redis): SessionCopies {
  return {
    async read(sessionId) {
      try {
        return readCopy(await inRedisSpan('GET', 'flowstate:session', () => redis.get(sessionKey(sessionId))));
      } catch {
        return null;
      }
    },
    async write(sessionId, copy) {
      await Promise.allSettled([
        redis.set(sessionKey(sessionId), JSON.stringify(copy), 'PXAT', copy.expiresAt),
        redis.sadd(userSessionsKey(copy.userId), sessionId),
        redis.pexpireat(userSessionsKey(copy.userId), copy.expiresAt, 'NX'),
        redis.pexpireat(userSessionsKey(copy.userId), copy.expiresAt, 'GT'),
      ]);
    },
    async remove(userId, sessionIds) {
      if (sessionIds.length === 0) return;
      await Promise.allSettled([
        ...sessionIds.map((sessionId) => redis.del(sessionKey(sessionId))), // each in a slot of its own
        redis.srem(userSessionsKey(userId), ...sessionIds),
      ]);
    },
  };
}
