import type { Db } from '../client.ts';

export type SecretRecord = {
  name: string;
  maxAgeDays: number;
  /** When the oldest value still in use was first seen; null when none ever was. */
  since: Date | null;
  /** Values in use at the same time: two while a rotation is under way. */
  values: number;
  lastSeenAt: Date | null;
  now: Date;
};

/** Gateways tell their values about once a minute; what was told last, and so long before, is in use. */
const inUseSeconds = 180;

/** Salts of the fingerprints, by the secret's name. */
export async function readSecretSalts(db: Db): Promise<Map<string, string>> {
  const rows = await db<{ name: string; salt: string }[]>`SELECT name, salt FROM secrets`;
  return new Map(rows.map(({ name, salt }) => [name, salt]));
}

/** These values are in use now. */
export async function noteSecretValues(
  db: Db,
  values: readonly { name: string; fingerprint: string }[],
): Promise<void> {
  const sorted = values.toSorted((a, b) => a.name.localeCompare(b.name));
  await db`
    INSERT INTO secret_values (name, fingerprint)
    SELECT * FROM unnest(${sorted.map(({ name }) => name)}::text[], ${sorted.map((it) => it.fingerprint)}::text[])
    ON CONFLICT (name, fingerprint) DO UPDATE SET last_seen_at = now()`;
}

/** How old each secret is; a rotation counts once the last gateway has left the old value. */
export async function readSecrets(db: Db): Promise<SecretRecord[]> {
  return db<SecretRecord[]>`
    SELECT s.name, s.max_age_days AS "maxAgeDays", v.since, coalesce(v.values, 0)::int AS values,
      v.seen AS "lastSeenAt", now() AS now
    FROM secrets s LEFT JOIN (
      SELECT name, min(first_seen_at) AS since, count(*) AS values, max(last_seen_at) AS seen FROM secret_values v
      WHERE last_seen_at > (SELECT max(last_seen_at) FROM secret_values WHERE name = v.name)
        - ${inUseSeconds} * interval '1 second'
      GROUP BY name
    ) v USING (name) ORDER BY s.name`;
}

/** False when there is no such secret. */
export async function setSecretMaxAge(
  db: Db,
  { name, maxAgeDays, by }: { name: string; maxAgeDays: number; by: string },
): Promise<boolean> {
  const rows = await db`
    UPDATE secrets SET max_age_days = ${maxAgeDays}, updated_at = now(), updated_by = ${by}
    WHERE name = ${name} RETURNING name`;
  return rows.length === 1;
}
