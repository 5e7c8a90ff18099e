import type { ApprovalDecision } from '@flowstate/contracts';
import type { Db } from '../client.ts';

export type Decided = {
  id: string;
  decision: ApprovalDecision;
  /** Of an edit. */
  input?: unknown;
  reason: string | null;
  by: string;
};

/** Settles an open question of a live run; false when it is settled already, or nobody waits any more. */
export async function decideApproval(db: Db, { id, decision, input, reason, by }: Decided): Promise<boolean> {
  const decidedInput = decision === 'edit' ? JSON.stringify(input) : null;
  const { count } = await db`
    UPDATE approvals a
    SET decision = ${decision}, decided_input = ${decidedInput}, reason = ${reason}, decided_by = ${by}, decided_at = now()
    WHERE id = ${id} AND decision IS NULL AND EXISTS (SELECT FROM run_live l WHERE l.id = a.run_id)`;
  return count === 1;
}
