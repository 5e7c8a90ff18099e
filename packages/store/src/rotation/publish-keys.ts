import type { Db } from '../client.ts';

export type KeyUse = {
  kid: string;
  /** Does this gateway sign with it? Else it only verifies. */
  signs: boolean;
  /** Tokens verified in the last ten minutes. */
  verifiedRecently: number;
  verifiedAt: Date | null;
  signedAt: Date | null;
  /** When the last token signed with it expires. */
  expiresAt: Date | null;
};

export type GatewayProcess = { id: string; name: string };

/** What one gateway does with its keys, in one statement: nobody's request waits for it. */
export async function publishKeys(
  db: Db,
  { id, name }: GatewayProcess,
  keys: readonly KeyUse[],
  policyAt: Date,
): Promise<void> {
  await db`
    WITH told AS MATERIALIZED (
      SELECT * FROM json_to_recordset(${JSON.stringify(keys)}::text::json) AS told (
        kid text, signs boolean, "verifiedRecently" int, "verifiedAt" timestamptz, "signedAt" timestamptz,
        "expiresAt" timestamptz
      ) ORDER BY kid
    ), known AS (
      INSERT INTO signing_keys AS k (kid, last_verified_at, last_signed_at, last_expiry)
      SELECT kid, "verifiedAt", "signedAt", "expiresAt" FROM told
      ON CONFLICT (kid) DO UPDATE SET
        last_verified_at = greatest(k.last_verified_at, excluded.last_verified_at),
        last_signed_at = greatest(k.last_signed_at, excluded.last_signed_at),
        last_expiry = greatest(k.last_expiry, excluded.last_expiry)
      WHERE excluded.last_verified_at > coalesce(k.last_verified_at, '-infinity')
        OR excluded.last_expiry > coalesce(k.last_expiry, '-infinity')
    )
    INSERT INTO gateway_keys (gateway, kid, name, signs, verified_recently, policy_at)
    SELECT ${id}::uuid, kid, ${name}, signs, "verifiedRecently", ${policyAt.toISOString()}::timestamptz FROM told
    ON CONFLICT (gateway, kid) DO UPDATE SET
      signs = excluded.signs, verified_recently = excluded.verified_recently, policy_at = excluded.policy_at,
      seen_at = now()`;
}

/** A gateway that drained: what it signed is on record, it holds nothing any more. */
export async function withdrawKeys(db: Db, { id }: GatewayProcess): Promise<void> {
  await db`DELETE FROM gateway_keys WHERE gateway = ${id}`;
}

/** Rows of gateways that died long ago. */
export async function forgetDeadGateways(db: Db): Promise<void> {
  await db`DELETE FROM gateway_keys WHERE seen_at < now() - interval '1 day'`;
}
