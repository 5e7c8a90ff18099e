import type { Sql } from '@flowstate/store';
import type { Redis } from 'ioredis';
import { createApiKeys, type ApiKeys } from './api-keys.ts';
import { createPasswords, type Passwords } from './passwords.ts';
import { createPolicyWatch, type PolicyWatch } from './policy-watch.ts';
import { createRunAuthorities, type RunAuthorities } from './run-authorities.ts';
import { createSessions, type Sessions } from './sessions.ts';

/** Everything that knows who somebody is. */
export type Identity = {
  policy: PolicyWatch;
  sessions: Sessions;
  passwords: Passwords;
  apiKeys: ApiKeys;
  runAuthorities: RunAuthorities;
  close(): void;
};

/** `redis` must refuse commands at once while it is away (no offline queue) and time out when it hangs. */
export function createIdentity({ sql, redis }: { sql: Sql; redis: Redis }): Identity {
  const policy = createPolicyWatch(sql);
  return {
    policy,
    sessions: createSessions({ sql, redis, policy }),
    passwords: createPasswords(),
    apiKeys: createApiKeys({ sql, policy }),
    runAuthorities: createRunAuthorities({ sql, policy }),
    close: () => policy.close(),
  };
}
