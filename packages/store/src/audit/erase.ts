import type { Db } from '../client.ts';

/** Deletes what the audit log knows about a person; its entries stay. Returns of how many entries. */
export async function eraseAuditPersonal(db: Db, person: string): Promise<number> {
  const { count } = await db`DELETE FROM audit_personal WHERE person = ${person}`;
  return count;
}
