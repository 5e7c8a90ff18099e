import { runStarters, type InputChecks, type QueueName, type Role } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { scheduleColumns, type ScheduleRow } from './stored-schedule.ts';

/** A schedule, locked, with everything its firing depends on as it is now. */
export type FiringSchedule = ScheduleRow & {
  now: Date;
  /** The owner's role now; null when there is no such user any more. */
  role: Role | null;
  ownerDisabled: boolean | null;
  ownerContained: boolean | null;
  /** The newest version of its workflow; null when there is none. */
  workflowId: number | null;
  queue: QueueName | null;
  inputSchema: Record<string, unknown> | null;
  /** Runs of it that are not over, oldest first. */
  liveRuns: string[];
};

/** A firing that can happen: whose run it is, of which version, with what input. */
export type Fireable = { role: Role; workflowId: number; queue: QueueName; input: string };

/**
 * Reads schedules whose rows this transaction has locked. A statement of its own, after the lock: the one that waited
 * for a lock still sees the runs of before.
 */
export async function readFiringSchedules(db: Db, ids: string[]): Promise<FiringSchedule[]> {
  return db<FiringSchedule[]>`
    SELECT ${scheduleColumns(db)}, now(), u.role, u.disabled_at IS NOT NULL AS "ownerDisabled",
           u.contained_at IS NOT NULL AS "ownerContained",
           w.id AS "workflowId", w.queue, w.input_schema AS "inputSchema",
           ARRAY(SELECT l.id FROM run_live l WHERE l.schedule_id = s.id ORDER BY l.id) AS "liveRuns"
    FROM schedules s
    LEFT JOIN users u ON u.id = s.owner_id
    LEFT JOIN LATERAL (
      SELECT id, queue, input_schema FROM workflows WHERE name = s.workflow ORDER BY published_at DESC, id DESC LIMIT 1
    ) w ON true
    WHERE s.id = ANY(${ids}::uuid[]) ORDER BY s.id`;
}

/** What a firing needs, or in one sentence why it cannot happen. */
export function toFireable(schedule: FiringSchedule, checks: InputChecks): Fireable | { reason: string } {
  const { role, ownerDisabled, workflow, workflowId, queue, inputSchema } = schedule;
  if (role === null) return { reason: 'Its owner is no user any more' };
  if (ownerDisabled === true) return { reason: 'Its owner is disabled' };
  if (!runStarters.includes(role)) return { reason: `Its owner's role ${role} may not start runs` };
  if (workflowId === null || queue === null || inputSchema === null) {
    return { reason: `There is no workflow ${workflow}` };
  }
  const checked = checks.check({ id: workflowId, inputSchema }, schedule.input);
  if ('problem' in checked) {
    return { reason: `Its input does not fit the workflow ${workflow} any more: ${checked.problem}` };
  }
  return { role, workflowId, queue, input: checked.input };
}
