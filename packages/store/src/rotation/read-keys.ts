import type { Db } from '../client.ts';

export type KeyHolder = {
  kid: string;
  gateway: string;
  name: string;
  signs: boolean;
  verifiedRecently: number;
  seenAt: Date;
  policyAt: Date;
};

export type KeyRecord = {
  kid: string;
  firstSeenAt: Date;
  lastVerifiedAt: Date | null;
  lastSignedAt: Date | null;
  lastExpiry: Date | null;
  killedAt: Date | null;
  killReason: string | null;
};

/** Every key on record, who holds it, and what time it is in Postgres. */
export async function readKeys(db: Db): Promise<{ now: Date; keys: KeyRecord[]; holders: KeyHolder[] }> {
  const [clock, keys, holders] = await Promise.all([
    db<{ now: Date }[]>`SELECT now() AS now`,
    db<KeyRecord[]>`
      SELECT kid, k.first_seen_at AS "firstSeenAt", k.last_verified_at AS "lastVerifiedAt",
        k.last_signed_at AS "lastSignedAt", k.last_expiry AS "lastExpiry", d.killed_at AS "killedAt",
        d.reason AS "killReason"
      FROM signing_keys k LEFT JOIN killed_keys d USING (kid) ORDER BY k.first_seen_at DESC, kid LIMIT 200`,
    db<KeyHolder[]>`
      SELECT kid, gateway, name, signs, verified_recently AS "verifiedRecently", seen_at AS "seenAt",
        policy_at AS "policyAt"
      FROM gateway_keys ORDER BY name, gateway`,
  ]);
  return { now: clock[0]?.now ?? new Date(), keys, holders };
}
