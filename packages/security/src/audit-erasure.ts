import { eraseAuditPersonal, findUserByEmail, type Sql } from '@flowstate/store';
import type { ChangeAudited } from './audited-change.ts';
import type { Operator } from './audit.ts';

/**
 * Erases what the audit log knows about a person, by user id or e-mail address, and records that in the same
 * transaction: an erasure without its entry would look like a theft. Returns of how many entries.
 */
export async function eraseFromAudit(
  { sql, changeAudited }: { sql: Sql; changeAudited: ChangeAudited },
  { subject: named, by }: { subject: string; by: Operator },
): Promise<{ subject: string; entries: number }> {
  const user = named.includes('@') ? await findUserByEmail(sql, named) : null;
  const subject = user?.id ?? named;
  const entries = await changeAudited(sql, async (tx, record) => {
    const erased = await eraseAuditPersonal(tx, subject);
    const details = { ...by.details, entries: erased };
    await record({ action: 'audit.erase', actor: by.id, subject, outcome: 'success', details });
    return erased;
  });
  return { subject, entries };
}
