import { eraseAuditPersonal, findUserByEmail, insertAudit, type Sql } from '@flowstate/store';
import { toAuditRow } from './audit-row.ts';

/**
 * Erases what the audit log knows about a person, by user id or e-mail address, and records that in the same
 * transaction: an erasure without its entry would look like a theft. Returns of how many entries.
 */
export async function eraseFromAudit(
  sql: Sql,
  { subject: named, actor }: { subject: string; actor: string | null },
): Promise<{ subject: string; entries: number }> {
  const user = named.includes('@') ? await findUserByEmail(sql, named) : null;
  const subject = user?.id ?? named;
  const entries = await sql.begin(async (tx) => {
    const erased = await eraseAuditPersonal(tx, subject);
    const details = { entries: erased };
    await insertAudit(tx, [toAuditRow({ action: 'audit.erase', actor, subject, outcome: 'success', details })]);
    return erased;
  });
  return { subject, entries };
}
