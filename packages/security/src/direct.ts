import { createSql, type Sql } from '@flowstate/store';
import { createAuditedChange } from './audited-change.ts';
import { createContainments, type Containments } from './containments.ts';
import { createDirectRedis } from './direct-redis.ts';
import { createPolicyWatch } from './policy-watch.ts';
import { createSessionAdmin, type SessionAdmin } from './session-admin.ts';
import { createSessions } from './sessions.ts';

export type DirectStores = {
  sql: Sql;
  sessions: SessionAdmin;
  containments: Containments;
  /** Why Redis cannot be reached; undefined when it can. Copies of revoked sessions may be left there then. */
  redisProblem: string | undefined;
  close(): Promise<void>;
};

/** The stores without a gateway in between, for an operator whose gateway is down. */
export async function openStores({
  databaseUrl,
  redisUrl,
}: {
  databaseUrl: string;
  redisUrl: string;
}): Promise<DirectStores> {
  const sql = createSql(databaseUrl, { name: 'flowstate-cli', max: 2 });
  const redis = createDirectRedis(redisUrl);
  let redisProblem: string | undefined;
  redis.on('error', (error: Error & { code?: string }) => (redisProblem ??= error.message || error.code));
  await redis.connect().catch((error: Error) => (redisProblem ??= error.message));
  const policy = createPolicyWatch(sql);
  const sessions = createSessions({ sql, redis, policy });
  const changeAudited = createAuditedChange();
  return {
    sql,
    sessions: createSessionAdmin({ sql, redis, sessions, changeAudited }),
    containments: createContainments({ sql, redis, policy, sessions, changeAudited }),
    redisProblem,
    async close() {
      policy.close();
      redis.disconnect();
      await sql.end({ timeout: 1 });
    },
  };
}
