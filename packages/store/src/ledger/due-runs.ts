import type { QueueName } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import type { DueGroup } from './due-groups.ts';

/** A run that may be handed to the queue now. */
export type DueRun = {
  id: string;
  principalId: string;
  workflowId: number;
  priority: number;
  dueAt: Date;
  concurrencyKey: string | null;
};

/** The first `read` due runs of each group, in due order. */
export async function dueRuns(
  db: Db,
  queue: QueueName,
  groups: readonly (Pick<DueGroup, 'principalId' | 'workflowId' | 'priority'> & { read: number })[],
): Promise<DueRun[]> {
  return db<DueRun[]>`
    SELECT r.id, g.principal_id AS "principalId", g.workflow_id AS "workflowId", g.priority, r.due_at AS "dueAt",
           r.concurrency_key AS "concurrencyKey"
    FROM unnest(
      ${groups.map((g) => g.principalId)}::uuid[], ${groups.map((g) => g.workflowId)}::int[],
      ${groups.map((g) => g.priority)}::smallint[], ${groups.map((g) => g.read)}::int[]
    ) AS g(principal_id, workflow_id, priority, read),
    LATERAL (
      SELECT id, due_at, concurrency_key FROM run_live l
      WHERE l.queue = ${queue} AND l.principal_id = g.principal_id AND l.workflow_id = g.workflow_id
        AND l.priority = g.priority AND l.due_at <= now() AND l.state = 'queued'
      ORDER BY due_at LIMIT g.read
    ) r`;
}
