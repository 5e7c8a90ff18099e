import { insertAudit, type AuditRow, type Db, type Sql } from '@flowstate/store';
import { toAuditRow } from './audit-row.ts';
import type { AuditEntry } from './audit.ts';

/**
 * Makes a change in one transaction with the entries it records: neither is there without the other, and who is answered
 * knows both to be on disk (whatever `synchronous_commit` the server asks of its writers).
 */
export type ChangeAudited = <T>(
  sql: Sql,
  work: (tx: Db, record: (entry: AuditEntry) => Promise<void>) => Promise<T>,
) => Promise<T>;

/** @param onEntry told of every entry once it is committed, for log sinks */
export function createAuditedChange(onEntry: (row: AuditRow) => void = () => {}): ChangeAudited {
  return async (sql, work) => {
    const rows: AuditRow[] = [];
    const result = await sql.begin((tx) =>
      work(tx, async (entry) => {
        const row = toAuditRow(entry);
        await insertAudit(tx, [row]);
        rows.push(row);
      }),
    );
    for (const row of rows) onEntry(row);
    return result as Awaited<ReturnType<typeof work>>;
  };
}
