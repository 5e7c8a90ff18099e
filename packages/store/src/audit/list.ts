import type { Db } from '../client.ts';
import type { AuditOutcome } from './insert.ts';

/** An entry as a reader sees it; `personal` is null where there is nothing personal, or no longer. */
export type StoredAudit = {
  id: string;
  at: Date;
  action: string;
  actor: string | null;
  subject: string | null;
  outcome: AuditOutcome;
  details: Record<string, unknown> | null;
  personal: Record<string, unknown> | null;
};

export type AuditFilter = {
  actor?: string | undefined;
  subject?: string | undefined;
  action?: string | undefined;
  outcome?: AuditOutcome | undefined;
  from?: string | undefined;
  to?: string | undefined;
};

type Place = { at: string; id: string };
type Row = Omit<StoredAudit, 'details' | 'personal'> & { details: string | null; personal: string[] | null };

const columns = (db: Db) => db`
  a.id, a.at, a.action, a.actor, a.subject, a.outcome, a.details,
  CASE WHEN a.personal IS NOT NULL THEN
    (SELECT array_agg(p.data ORDER BY p.person) FROM audit_personal p WHERE p.entry_id = a.id)
  END AS personal`;

const matches = (db: Db, { actor, subject, action, outcome, from, to }: AuditFilter) => db`
  ${actor === undefined ? db`` : db`AND a.actor = ${actor}`}
  ${subject === undefined ? db`` : db`AND a.subject = ${subject}`}
  ${action === undefined ? db`` : db`AND a.action = ${action}`}
  ${outcome === undefined ? db`` : db`AND a.outcome = ${outcome}`}
  ${from === undefined ? db`` : db`AND a.at >= ${from}`}
  ${to === undefined ? db`` : db`AND a.at < ${to}`}`;

/** Entries, newest first, older than `before`. */
export async function listAudit(
  db: Db,
  { before, limit, ...filter }: AuditFilter & { before?: Place | undefined; limit: number },
): Promise<StoredAudit[]> {
  const rows = await db<Row[]>`
    SELECT ${columns(db)} FROM audit_log a
    WHERE true ${matches(db, filter)}
      ${before === undefined ? db`` : db`AND (a.at, a.id) < (${before.at}, ${before.id})`}
    ORDER BY a.at DESC, a.id DESC LIMIT ${limit}`;
  return rows.map(toStored);
}

/** Entries of a time, oldest first, a page at a time, so that an export of any size needs little memory. */
export async function* exportAudit(db: Db, filter: AuditFilter, pageSize = 1_000): AsyncGenerator<StoredAudit[]> {
  let after: Place | undefined;
  for (;;) {
    const rows: Row[] = await db<Row[]>`
      SELECT ${columns(db)} FROM audit_log a
      WHERE true ${matches(db, filter)}
        ${after === undefined ? db`` : db`AND (a.at, a.id) > (${after.at}, ${after.id})`}
      ORDER BY a.at, a.id LIMIT ${pageSize}`;
    const last = rows.at(-1);
    if (last === undefined) return;
    yield rows.map(toStored);
    if (rows.length < pageSize) return;
    after = { at: last.at.toISOString(), id: last.id };
  }
}

function toStored({ details, personal, ...row }: Row): StoredAudit {
  return {
    ...row,
    details: details === null ? null : (JSON.parse(details) as Record<string, unknown>),
    personal:
      personal === null
        ? null
        : (Object.assign({}, ...personal.map((data) => JSON.parse(data) as object)) as Record<string, unknown>),
  };
}
