import type { QueueName } from '@flowstate/contracts';
import type { Db } from '../client.ts';

/** One principal's runs of one workflow version at one priority, some of which are due. */
export type DueGroup = {
  principalId: string;
  workflowId: number;
  priority: number;
  /** Since when its first run is due. */
  dueAt: Date;
};

/**
 * Which groups have runs that are due. A skip scan: one index probe for each group, however many runs it has, and
 * however many of them are due only later.
 */
export async function dueGroups(db: Db, queue: QueueName): Promise<DueGroup[]> {
  return db<DueGroup[]>`
    WITH RECURSIVE groups AS (
      (SELECT principal_id, workflow_id, priority, due_at FROM run_live
       WHERE queue = ${queue} AND due_at IS NOT NULL
       ORDER BY principal_id, workflow_id, priority, due_at LIMIT 1)
      UNION ALL
      SELECT next.* FROM groups g, LATERAL (
        SELECT principal_id, workflow_id, priority, due_at FROM run_live
        WHERE queue = ${queue} AND due_at IS NOT NULL
          AND (principal_id, workflow_id, priority) > (g.principal_id, g.workflow_id, g.priority)
        ORDER BY principal_id, workflow_id, priority, due_at LIMIT 1
      ) next
    )
    SELECT principal_id AS "principalId", workflow_id AS "workflowId", priority, due_at AS "dueAt"
    FROM groups WHERE due_at <= now()`;
}
