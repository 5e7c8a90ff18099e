import type { Role } from '@flowstate/contracts';
import type { Db } from '../client.ts';

/** What every gateway must know within a second, Redis or not. */
export type Policy = {
  /** Rises with every change of access. */
  epoch: number;
  /** Sessions revoked in the last `revocationsKeptSeconds`. */
  revoked: string[];
  /** Lockdowns in force. */
  overrides: PolicyOverride[];
  /** Containments in force. */
  contained: { id: string; userId: string }[];
  /** Flags that were set: name to value. */
  flags: Record<string, unknown>;
  /** Signing keys whose tokens are refused for good. */
  killedKeys: string[];
  /** When this was so, by Postgres' clock. */
  at: Date;
};

/** What decides about an override; the rest is for people. */
export type PolicyOverride = { id: string; target: string; roles: Role[] };

/** Longer than any gateway trusts a session copy without looking at Postgres. */
export const revocationsKeptSeconds = 180;

export async function readPolicy(db: Db): Promise<Policy> {
  const [row] = await db<Policy[]>`
    SELECT epoch,
      ARRAY(
        SELECT id FROM sessions WHERE revoked_at > now() - ${revocationsKeptSeconds} * interval '1 second'
      ) AS revoked,
      (SELECT coalesce(json_agg(json_build_object('id', id, 'target', target, 'roles', roles)), '[]')
       FROM access_overrides WHERE released_at IS NULL AND expires_at > now()) AS overrides,
      (SELECT coalesce(json_agg(json_build_object('id', id, 'userId', user_id)), '[]')
       FROM containments WHERE released_at IS NULL) AS contained,
      (SELECT coalesce(json_object_agg(name, value::json), '{}') FROM flags) AS flags,
      ARRAY(SELECT kid FROM killed_keys) AS "killedKeys",
      now() AS at
    FROM policy`;
  if (row === undefined) throw new Error('the policy row is missing');
  return row;
}
