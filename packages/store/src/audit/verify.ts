import type { Db, Sql } from '../client.ts';
import {
  chainStart,
  digestLength,
  entryDigest,
  personalHash,
  sealHash,
  type ChainedEntry,
  type Seal,
} from './chain.ts';
import type { ChainHead } from './seal.ts';

/** What was found out of order, and where. */
export type AuditFinding = {
  kind:
    | 'changed'
    | 'removed'
    | 'inserted'
    | 'seal_changed'
    | 'seal_removed'
    | 'head_missing'
    | 'personal_changed'
    | 'personal_removed';
  /** Id of the entry, where it is about one. */
  entry: string | null;
  /** Number of the seal that names it, or that is wrong itself. */
  seal: number | null;
  detail: string;
};

export type AuditVerdict = {
  ok: boolean;
  head: ChainHead | null;
  seals: number;
  /** Entries the seals name. */
  entries: number;
  /** Entries too young to be sealed. */
  pending: number;
  /** Entries whose personal data was erased as an entry of the log says. */
  erased: number;
  /** At most a thousand. */
  findings: AuditFinding[];
};

type Entry = ChainedEntry & { people: { person: string; salt: string; data: string }[] | null };

const sealsAtOnce = 20;
const maxFindings = 1_000;

/**
 * Recomputes the whole chain from the rows, as of one moment. `head`: a hash noted earlier (a log line, say) that must
 * be in the chain, which shows a chain that was made anew as a whole.
 */
export async function verifyAudit(sql: Sql, { head }: { head?: string | undefined } = {}): Promise<AuditVerdict> {
  return await sql.begin('ISOLATION LEVEL REPEATABLE READ READ ONLY', (tx) => verify(tx, head));
}

async function verify(tx: Db, expectedHead: string | undefined): Promise<AuditVerdict> {
  const findings: AuditFinding[] = [];
  const find = (kind: AuditFinding['kind'], seal: number | null, entry: string | null, detail: string) => {
    if (findings.length < maxFindings) findings.push({ kind, entry, seal, detail });
  };
  const erasures = await readErasures(tx);
  let last: Seal | null = null;
  let seals = 0;
  let entries = 0;
  let erased = 0;
  let headSeen = expectedHead === undefined;
  for (;;) {
    const page = await readSeals(tx, last?.number ?? 0);
    for (const seal of page) {
      checkSeal(seal, last, find);
      headSeen ||= seal.hash.toString('hex') === expectedHead;
      for (const [index, entry] of (await readSealed(tx, seal)).entries()) {
        const id = seal.entries[index] as string;
        const digest = seal.digests.subarray(index * digestLength, (index + 1) * digestLength);
        if (entry === undefined) find('removed', seal.number, id, 'sealed, but not in the log');
        else if (!entryDigest(entry).equals(digest)) find('changed', seal.number, id, 'is not what was sealed');
        else if (checkPersonal(entry, erasures, (kind, detail) => find(kind, seal.number, id, detail))) erased += 1;
      }
      seals += 1;
      entries += seal.entries.length;
      last = seal;
    }
    if (page.length < sealsAtOnce) break;
  }
  for (const { id } of await readInserted(tx)) find('inserted', null, id, 'in the log, but in no seal');
  if (!headSeen) find('head_missing', null, null, `no seal has the hash ${expectedHead}`);
  return {
    ok: findings.length === 0,
    head: last && { number: last.number, hash: last.hash.toString('hex'), total: last.total },
    seals,
    entries,
    pending: await countPending(tx),
    erased,
    findings,
  };
}

type Find = (kind: AuditFinding['kind'], seal: number | null, entry: string | null, detail: string) => void;

function checkSeal(seal: Seal, last: Seal | null, find: Find): void {
  const before = last ?? { number: 0, total: 0, hash: chainStart };
  if (seal.number !== before.number + 1) {
    find('seal_removed', seal.number, null, `seal ${before.number + 1} is missing before it`);
  } else if (!seal.previous.equals(before.hash) || seal.total !== before.total + seal.entries.length) {
    find('seal_changed', seal.number, null, 'does not follow from the seal before');
  }
  if (!sealHash(seal).equals(seal.hash)) find('seal_changed', seal.number, null, 'its hash is not that of its content');
}

/** Answers whether something was erased, properly. */
function checkPersonal(
  entry: Entry,
  erasures: Map<string, Date>,
  find: (kind: 'personal_changed' | 'personal_removed', detail: string) => void,
): boolean {
  const expected = new Set(entry.personal?.split(',') ?? []);
  for (const { person, salt, data } of entry.people ?? []) {
    if (!expected.delete(personalHash({ person, salt: Buffer.from(salt, 'hex'), data }))) {
      find('personal_changed', 'its personal data is not what was sealed');
      return false;
    }
  }
  if (expected.size === 0) return false;
  const asked = [entry.actor, entry.subject].some((person) => {
    const at = person === null ? undefined : erasures.get(person);
    return at !== undefined && at >= entry.at;
  });
  if (!asked) find('personal_removed', 'its personal data is gone, and no entry says that it was erased');
  return asked;
}

async function readSeals(tx: Db, after: number): Promise<Seal[]> {
  return tx<Seal[]>`
    SELECT number, sealed_at AS "sealedAt", entries, digests, total, previous, hash
    FROM audit_seals WHERE number > ${after} ORDER BY number LIMIT ${sealsAtOnce}`;
}

/** The entries a seal names, in its order; undefined for those that are gone. */
async function readSealed(tx: Db, { entries }: Seal): Promise<(Entry | undefined)[]> {
  const rows = await tx<Entry[]>`
    SELECT a.id, a.at, a.action, a.actor, a.subject, a.outcome, a.details, a.personal,
      CASE WHEN a.personal IS NOT NULL THEN (
        SELECT json_agg(json_build_object('person', p.person, 'salt', encode(p.salt, 'hex'), 'data', p.data))
        FROM audit_personal p WHERE p.entry_id = a.id
      ) END AS people
    FROM unnest(${entries}::uuid[]) s(id) JOIN audit_log a ON a.at = uuidv7_time(s.id) AND a.id = s.id`;
  const byId = new Map(rows.map((row) => [row.id, row]));
  return entries.map((id) => byId.get(id));
}

/** Entries no seal names although all of their time are sealed; and second copies, whose time is not their id's. */
async function readInserted(tx: Db): Promise<{ id: string }[]> {
  return tx<{ id: string }[]>`
    SELECT a.id FROM audit_log a
    LEFT JOIN (SELECT DISTINCT unnest(entries) AS id FROM audit_seals) s ON s.id = a.id AND a.at = uuidv7_time(s.id)
    WHERE s.id IS NULL AND a.xid < (SELECT max(horizon) FROM audit_seals WHERE cluster = (SELECT system_identifier FROM pg_control_system()))
    ORDER BY a.at, a.id LIMIT ${maxFindings}`;
}

async function countPending(tx: Db): Promise<number> {
  const [row] = await tx<{ pending: number }[]>`
    SELECT count(*) AS pending FROM audit_log
    WHERE xid >= coalesce((SELECT horizon FROM audit_seals ORDER BY number DESC LIMIT 1), 0)`;
  return row?.pending ?? 0;
}

/** When each person's data was last erased, as the log says. */
async function readErasures(tx: Db): Promise<Map<string, Date>> {
  const rows = await tx<{ person: string; at: Date }[]>`
    SELECT subject AS person, max(at) AS at FROM audit_log
    WHERE action = 'audit.erase' AND outcome = 'success' AND subject IS NOT NULL GROUP BY subject`;
  return new Map(rows.map(({ person, at }) => [person, at]));
}
