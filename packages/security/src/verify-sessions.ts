import { isUuid, type SessionFault, type SessionReport } from '@flowstate/contracts';
import { countLiveSessions, readSessions, type SessionRecord, type Sql } from '@flowstate/store';
import type { Redis } from 'ioredis';
import { serversOf } from './direct-redis.ts';
import { readCopy, sessionKey, userSessionsKey, type SessionCopy } from './session-copies.ts';

type Finding = SessionReport['findings'][number];

const batch = 500;
const maxFindings = 200;
/**
 * Holds everything Redis knows of sessions against Postgres, which is the record. With `repair` what is wrong is
 * deleted: a good session's copy is made again at its next request. Walks the key space: not for the request path.
 */
export async function verifySessions(
  { sql, redis }: { sql: Sql; redis: Redis },
  { repair = false }: { repair?: boolean } = {},
): Promise<SessionReport> {
  const findings: Finding[] = [];
  let copies = 0;
  let indexed = 0;

  for await (const keys of scan(redis, sessionKey('*'))) {
    copies += keys.length;
    findings.push(...(await checkCopies({ sql, redis }, keys)));
  }
  for await (const keys of scan(redis, userSessionsKey('*'))) {
    for (const key of keys) {
      const ids = await redis.smembers(key);
      indexed += ids.length;
      for (let i = 0; i < ids.length; i += batch) {
        findings.push(...(await checkIndex(sql, key, ids.slice(i, i + batch))));
      }
    }
  }
  const standing = await stillThere(redis, findings);
  const counts: Record<SessionFault, number> = { orphaned: 0, mismatched: 0, revoked: 0, expired: 0 };
  for (const { fault } of standing) counts[fault] += 1;
  return {
    copies,
    indexed,
    sessions: await countLiveSessions(sql),
    sound: counts.orphaned + counts.mismatched + counts.revoked === 0,
    counts,
    findings: standing.slice(0, maxFindings),
    repaired: repair ? await remove(redis, standing) : 0,
  };
}

async function checkCopies({ sql, redis }: { sql: Sql; redis: Redis }, keys: string[]): Promise<Finding[]> {
  const ids = keys.map((key) => key.slice(sessionKey('').length));
  const [texts, records] = await Promise.all([Promise.all(keys.map((key) => redis.get(key))), byId(sql, ids)]);
  const copies = texts.map(readCopy);
  const listed = await areIndexed(redis, ids, copies);
  return ids.flatMap((sessionId, i): Finding[] => {
    const [key, copy] = [keys[i] as string, copies[i] ?? null];
    if (texts[i] === null) return []; // gone since it was listed
    const found = (fault: SessionFault, detail: string): Finding[] => [
      { fault, key, sessionId, userId: records.get(sessionId)?.userId ?? copy?.userId ?? null, detail },
    ];
    const record = records.get(sessionId);
    if (record === undefined) return found('orphaned', 'Postgres knows no such session');
    if (copy === null) return found('mismatched', 'the copy cannot be read');
    const ended = endOf(record);
    if (ended !== null) return found(...ended);
    const differences = compare(copy, record);
    if (differences.length > 0) return found('mismatched', differences.join('; '));
    return listed[i] === false ? found('mismatched', "missing in its user's index") : [];
  });
}

/** An index may name sessions without a copy: those are read from Postgres when they are next used. */
async function checkIndex(sql: Sql, key: string, ids: string[]): Promise<Finding[]> {
  const userId = key.slice(userSessionsKey('').length);
  const records = await byId(sql, ids);
  return ids.flatMap((sessionId): Finding[] => {
    const record = records.get(sessionId);
    const found = (fault: SessionFault, detail: string): Finding[] => [{ fault, key, sessionId, userId, detail }];
    if (record === undefined) return found('orphaned', 'the index names a session Postgres does not know');
    if (record.userId !== userId) return found('mismatched', `the index is not that of its user ${record.userId}`);
    // By an index alone nobody gets in: what has ended is litter there.
    return endOf(record) === null ? [] : found('expired', 'the index names a session that has ended');
  });
}

function endOf(record: SessionRecord): [SessionFault, string] | null {
  if (record.revoked) return ['revoked', 'revoked in Postgres, its copy is still there'];
  if (record.userDisabled) return ['revoked', 'its user is disabled, its copy is still there'];
  return record.expiresAt.getTime() <= Date.now() ? ['expired', 'expired'] : null;
}

function compare(copy: SessionCopy, record: SessionRecord): string[] {
  const differences: string[] = [];
  const differs = (field: string, here: unknown, there: unknown) =>
    void (here !== there && differences.push(`${field} is ${String(here)} in Redis, ${String(there)} in Postgres`));
  differs('user', copy.userId, record.userId);
  // One from before the last change of access is not believed by anybody.
  if (copy.epoch >= record.epoch) differs('role', copy.role, record.role);
  differs('end', new Date(copy.expiresAt).toISOString(), record.expiresAt.toISOString());
  if (copy.epoch > record.epoch) differences.push(`epoch ${copy.epoch} has not been reached yet`);
  return differences;
}

async function byId(sql: Sql, ids: string[]): Promise<Map<string, SessionRecord>> {
  const records = await readSessions(
    sql,
    ids.filter((id) => isUuid(id)),
  );
  return new Map(records.map((record) => [record.id, record]));
}

/** Undefined where the copy does not say whose it is. */
async function areIndexed(
  redis: Redis,
  ids: string[],
  copies: (SessionCopy | null)[],
): Promise<(boolean | undefined)[]> {
  return Promise.all(
    copies.map(async (copy, i) =>
      copy === null ? undefined : (await redis.sismember(userSessionsKey(copy.userId), ids[i] ?? '')) === 1,
    ),
  );
}

/** What was on its way out while this looked is no finding. */
async function stillThere(redis: Redis, findings: Finding[]): Promise<Finding[]> {
  const standing: Finding[] = [];
  for (let i = 0; i < findings.length; i += batch) {
    const some = findings.slice(i, i + batch);
    const there = await Promise.all(
      some.map(({ key, sessionId }) => (isCopy(key) ? redis.exists(key) : redis.sismember(key, sessionId))),
    );
    standing.push(...some.filter((_, n) => there[n] === 1));
  }
  return standing;
}

async function remove(redis: Redis, findings: Finding[]): Promise<number> {
  for (let i = 0; i < findings.length; i += batch) {
    await Promise.all(
      findings
        .slice(i, i + batch)
        .map(({ key, sessionId }) => (isCopy(key) ? redis.del(key) : redis.srem(key, sessionId))),
    );
  }
  return findings.length;
}

function isCopy(key: string): boolean {
  return key.startsWith(sessionKey(''));
}

async function* scan(redis: Redis, match: string): AsyncIterable<string[]> {
  // Of a cluster each server has its own.
  for (const server of serversOf(redis)) {
    for await (const keys of server.scanStream({ match, count: batch }) as AsyncIterable<string[]>) {
      if (keys.length > 0) yield [...new Set(keys)]; // a scan may answer nothing, or the same twice
    }
  }
}
