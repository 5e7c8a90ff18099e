import type { FollowUp } from '@flowstate/contracts';
import type { Db } from '../client.ts';

export type FollowUpFilter = { customerId: string; before?: string | undefined; limit: number };

/** A customer's, newest first. */
export async function listFollowUps(db: Db, { customerId, before, limit }: FollowUpFilter): Promise<FollowUp[]> {
  const rows = await db<Row[]>`
    ${followUps(db)} WHERE f.customer_id = ${customerId} ${before === undefined ? db`` : db`AND f.id < ${before}`}
    ORDER BY f.id DESC LIMIT ${limit}`;
  return rows.map(toFollowUp);
}

export async function findFollowUp(db: Db, id: string): Promise<FollowUp | null> {
  const [row] = await db<Row[]>`${followUps(db)} WHERE f.id = ${id}`;
  return row === undefined ? null : toFollowUp(row);
}

type Row = Omit<FollowUp, 'createdAt'> & { createdAt: Date };

function followUps(db: Db) {
  return db`
    SELECT f.id, c.external_id AS customer, f.subject, f.note, to_char(f.due, 'YYYY-MM-DD') AS due,
           f.principal_id AS "createdBy", f.run_id AS run, f.created_at AS "createdAt"
    FROM follow_ups f JOIN customers c ON c.id = f.customer_id`;
}

function toFollowUp(row: Row): FollowUp {
  return { ...row, createdAt: row.createdAt.toISOString() };
}
