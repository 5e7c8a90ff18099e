import type { Db } from '../client.ts';

export type AuditOutcome = 'success' | 'denied' | 'failed';

/** An entry as it is stored. `id` is a UUIDv7 of the moment it happened. */
export type AuditRow = {
  id: string;
  action: string;
  actor: string | null;
  subject: string | null;
  outcome: AuditOutcome;
  /** JSON without anything personal. */
  details: string | null;
  personal: PersonalRow[];
};

/** What an entry says about a person: erasable, and known to the chain by its hash only. */
export type PersonalRow = { person: string; salt: Buffer; data: string; hash: string };

/** Adds entries in one statement. Written again after a lost answer they are still there once. */
export async function insertAudit(db: Db, rows: readonly AuditRow[]): Promise<void> {
  const hashes = rows.map(({ personal }) => (personal.length === 0 ? null : personal.map(({ hash }) => hash).join()));
  const insert = db`
    INSERT INTO audit_log (id, at, action, actor, subject, outcome, details, personal)
    SELECT t.id, uuidv7_time(t.id), t.action, t.actor, t.subject, t.outcome, t.details, t.personal
    FROM unnest(
      ${rows.map((r) => r.id)}::uuid[], ${rows.map((r) => r.action)}::text[], ${rows.map((r) => r.actor)}::text[],
      ${rows.map((r) => r.subject)}::text[], ${rows.map((r) => r.outcome)}::text[],
      ${rows.map((r) => r.details)}::text[], ${hashes}::text[]
    ) AS t(id, action, actor, subject, outcome, details, personal)
    ON CONFLICT DO NOTHING`;
  const personal = rows.flatMap(({ id, personal }) => personal.map((row) => ({ id, ...row })));
  if (personal.length === 0) return void (await insert);
  await db`
    WITH entries AS (${insert})
    INSERT INTO audit_personal (entry_id, person, salt, data)
    SELECT t.id, t.person, decode(t.salt, 'hex'), t.data
    FROM unnest(
      ${personal.map((p) => p.id)}::uuid[], ${personal.map((p) => p.person)}::text[],
      ${personal.map((p) => p.salt.toString('hex'))}::text[], ${personal.map((p) => p.data)}::text[]
    ) AS t(id, person, salt, data)
    ON CONFLICT DO NOTHING`;
}
