import { insertAudit, type Sql } from '@flowstate/store';
import { toAuditRow } from './audit-row.ts';
import type { AuditEntry } from './audit.ts';

/** Commits one entry, for whoever acts past the gateway. */
export async function recordAudit(sql: Sql, entry: AuditEntry): Promise<void> {
  await insertAudit(sql, [toAuditRow(entry)]);
}
