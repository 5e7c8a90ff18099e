import { FlowstateError, type EndedRun, type InputChecks } from '@flowstate/contracts';
import type { Sql } from '../client.ts';
import { acceptRuns } from '../ledger/accept.ts';
import { cancelRuns } from '../ledger/cancel.ts';
import { runOf } from './fire-schedules.ts';
import { readFiringSchedules, toFireable } from './firing-schedule.ts';

/**
 * Starts a run of a schedule out of turn, paused or not, as a firing would: for its owner, with its overlap policy.
 * Its next time stays. Throws `not_found`, and `conflict` with the reason when it cannot fire. Returns the run's id and
 * the runs that made way for it, whose jobs are to be withdrawn.
 */
export async function triggerSchedule(
  sql: Sql,
  id: string,
  checks: InputChecks,
): Promise<{ runId: string; ended: EndedRun[] }> {
  return sql.begin(async (tx) => {
    await tx`SELECT id FROM schedules WHERE id = ${id} FOR UPDATE`;
    const [schedule] = await readFiringSchedules(tx, [id]);
    if (schedule === undefined) throw new FlowstateError('not_found', `There is no schedule ${id}`);
    if (schedule.ownerContained === true) throw new FlowstateError('conflict', 'Its owner is contained');
    const fireable = toFireable(schedule, checks);
    if ('reason' in fireable) throw new FlowstateError('conflict', `The schedule cannot fire: ${fireable.reason}`);
    const { overlap, liveRuns, now } = schedule;
    if (overlap === 'skip' && liveRuns.length > 0) {
      throw new FlowstateError('conflict', `The run before is not over: ${liveRuns.join(', ')}`);
    }
    const run = runOf(schedule, fireable);
    await acceptRuns(tx, [run]);
    await tx`UPDATE schedules SET last_fired_at = ${now}, last_run_id = ${run.id} WHERE id = ${id}`;
    const { ended } = await cancelRuns(tx, overlap === 'cancel-previous' ? liveRuns : []);
    return { runId: run.id, ended };
  });
}
