import { budgetSignal, type BudgetKey, type Delivery } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { deliveryColumns, mayDeliver, wakeUp } from '../ledger/deliveries.ts';

/**
 * Tells the runs that wait for a budget that it was changed, in the name of whoever changed it: they ask again, and go
 * on or wait on. Answers what the caller must deliver once this is committed.
 */
export async function resumePausedRuns(
  db: Db,
  { level, subject, period }: BudgetKey,
  principalId: string | null,
): Promise<Delivery[]> {
  const rows = await db<(Delivery & { deliver: boolean })[]>`
    WITH paused AS (
      DELETE FROM budget_pauses WHERE level = ${level} AND period = ${period}
        AND CASE WHEN ${subject} = '' THEN for_each ELSE subject = ${subject} END
      RETURNING run_id
    ),
    old AS (SELECT id, state FROM run_live WHERE id IN (SELECT run_id FROM paused) ORDER BY id FOR UPDATE),
    sent AS (
      INSERT INTO run_inbox (run_id, kind, name, data, principal_id)
      SELECT id, 'signal', ${budgetSignal}, 'null', ${principalId}::uuid FROM old
    )
    UPDATE run_live l SET ${wakeUp(db)} FROM old WHERE l.id = old.id
    RETURNING ${deliveryColumns(db, 'l')}, ${mayDeliver(db)} AS deliver`;
  return rows.flatMap(({ deliver, ...delivery }) => (deliver ? [delivery] : []));
}
