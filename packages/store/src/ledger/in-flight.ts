import type { Db } from '../client.ts';

/** Capped runs that are on their way to a worker or on one; those that wait hold no place. */
export type InFlight = { workflowId: number; principalId: string; concurrencyKey: string | null; runs: number };

/** They are never more than the window and the workers hold, since only the feeder hands capped runs over. */
export async function runsInFlight(db: Db): Promise<InFlight[]> {
  return db<InFlight[]>`
    SELECT workflow_id AS "workflowId", principal_id AS "principalId", concurrency_key AS "concurrencyKey",
           count(*)::int AS runs
    FROM run_live WHERE capped AND due_at IS NULL AND state IN ('queued', 'running')
    GROUP BY workflow_id, principal_id, concurrency_key`;
}
