import type { InputChecks } from '@flowstate/contracts';
import { activeTraceparent } from '@flowstate/tracing';
import { v7 as uuidv7 } from 'uuid';
import type { Db, Sql } from '../client.ts';
import { acceptRuns, type AcceptedRun } from '../ledger/accept.ts';
import { cancelRuns } from '../ledger/cancel.ts';
import type { Ended } from '../ledger/end-unowned.ts';
import { ownerContained } from './due-schedules.ts';
import { readFiringSchedules, toFireable, type Fireable, type FiringSchedule } from './firing-schedule.ts';
import { planFirings, type Plan } from './plan-firings.ts';

/** What one transaction did; each number counts due times, the runs ended are those `cancel-previous` made way. */
export type Fired = Ended & {
  fired: number;
  missed: number;
  /** Left out because the run before was not over. */
  skipped: number;
  suspended: { id: string; reason: string }[];
};

type Outcome = Pick<FiringSchedule, 'id'> & {
  nextAt: Date | null;
  lastError: string | null;
  missed: number;
  firings: { dueAt: Date; run: AcceptedRun | null }[];
  cancel: string[];
};

/** Firings of each schedule that are remembered. */
const keptFirings = 100;

/**
 * Fires those of `ids` that are due, in one transaction: the schedules' rows are locked, their runs accepted, their
 * next time set. Of two that fire at once the second finds a schedule locked, or not due any more; and a due time
 * that was fired before, as after a crash of unknown outcome or an edit meanwhile, is known by its key.
 */
export async function fireSchedules(sql: Sql, ids: string[], checks: InputChecks): Promise<Fired> {
  return sql.begin(async (tx) => {
    const locked = await tx<{ id: string }[]>`
      SELECT id FROM schedules s WHERE id = ANY(${ids}::uuid[]) AND next_at <= now() AND NOT ${ownerContained(tx)}
      ORDER BY id FOR UPDATE SKIP LOCKED`;
    const schedules = await readFiringSchedules(
      tx,
      locked.map(({ id }) => id),
    );
    const outcomes = schedules.map((schedule) => decide(schedule, checks));
    const fresh = await recordFirings(tx, outcomes);
    const runs = outcomes.flatMap(({ firings }) =>
      firings.flatMap(({ run }) => (run !== null && fresh.has(run.id) ? [run] : [])),
    );
    if (runs.length > 0) await acceptRuns(tx, runs);
    await settle(tx, outcomes, fresh);
    const replaced = outcomes.filter(({ firings }) => firings.some(({ run }) => run !== null && fresh.has(run.id)));
    const { ended, woken } = await cancelRuns(
      tx,
      replaced.flatMap(({ cancel }) => cancel),
    );
    const due = outcomes.flatMap(({ firings }) => firings);
    return {
      fired: runs.length,
      missed: outcomes.reduce((sum, { missed }) => sum + missed, 0),
      skipped: due.filter(({ run }) => run === null).length,
      suspended: outcomes.flatMap(({ id, lastError }) => (lastError === null ? [] : [{ id, reason: lastError }])),
      ended,
      woken,
    };
  });
}

/** The run of a schedule's firing. */
export function runOf(schedule: FiringSchedule, { role, workflowId, queue, input }: Fireable, seq = 0): AcceptedRun {
  return {
    // By the time of Postgres, in the order of due times.
    id: uuidv7({ msecs: schedule.now.valueOf(), seq }),
    workflowId,
    queue,
    principalId: schedule.ownerId,
    role,
    priority: schedule.priority,
    tags: schedule.tags,
    input,
    webhookUrl: null,
    trace: activeTraceparent() ?? null,
    scheduleId: schedule.id,
    delayMs: 0,
    owner: null,
  };
}

function decide(schedule: FiringSchedule, checks: InputChecks): Outcome {
  const suspended = (lastError: string): Outcome => ({
    id: schedule.id,
    nextAt: null,
    lastError,
    missed: 0,
    firings: [],
    cancel: [],
  });
  const fireable = toFireable(schedule, checks);
  if ('reason' in fireable) return suspended(fireable.reason);
  let plan: Plan;
  try {
    plan = planFirings(schedule, { nextAt: schedule.nextAt ?? schedule.now, now: schedule.now });
  } catch (error) {
    // A zone that this Node does not know any more, say: trying again would not help, and would hold up the others.
    return suspended(`Its next time cannot be computed: ${(error as Error).message}`);
  }
  const { fire, missed, nextAt } = plan;
  const runs = fire.map((dueAt, index) => ({ dueAt, run: runOf(schedule, fireable, index) }));
  return { id: schedule.id, nextAt, lastError: null, missed, ...withoutOverlap(schedule, runs) };
}

/** Which of several firings get a run, and which runs make way for them. */
function withoutOverlap(
  { overlap, liveRuns }: FiringSchedule,
  firings: { dueAt: Date; run: AcceptedRun }[],
): Pick<Outcome, 'firings' | 'cancel'> {
  const leaveOut = ({ dueAt }: { dueAt: Date }) => ({ dueAt, run: null });
  if (overlap === 'allow' || firings.length === 0) return { firings, cancel: [] };
  if (overlap === 'cancel-previous') {
    // Each would cancel the one before it.
    return { firings: [...firings.slice(0, -1).map(leaveOut), ...firings.slice(-1)], cancel: liveRuns };
  }
  const first = liveRuns.length === 0 ? firings.slice(0, 1) : [];
  return { firings: [...first, ...firings.slice(first.length).map(leaveOut)], cancel: [] };
}

/** Ids of the runs whose due time nobody has fired before. */
async function recordFirings(db: Db, outcomes: Outcome[]): Promise<Set<string>> {
  const rows = outcomes.flatMap(({ id, firings }) => firings.map(({ dueAt, run }) => ({ id, dueAt, run })));
  if (rows.length === 0) return new Set();
  const recorded = await db<{ run_id: string }[]>`
    INSERT INTO schedule_firings (schedule_id, due_at, run_id)
    SELECT * FROM unnest(${rows.map(({ id }) => id)}::uuid[], ${rows.map(({ dueAt }) => dueAt.toISOString())}::timestamptz[],
                         ${rows.map(({ run }) => run?.id ?? null)}::uuid[])
    ON CONFLICT DO NOTHING RETURNING run_id`;
  return new Set(recorded.map(({ run_id }) => run_id));
}

/** Sets when each schedule is due next, and forgets its oldest firings. */
async function settle(db: Db, outcomes: Outcome[], fresh: Set<string>): Promise<void> {
  const last = outcomes.map(({ firings }) => firings.findLast(({ run }) => run !== null && fresh.has(run.id)));
  await db`
    WITH settled AS (
      UPDATE schedules s SET next_at = o.next_at, last_error = o.last_error,
        last_fired_at = CASE WHEN o.run_id IS NULL THEN last_fired_at ELSE now() END, last_run_id = coalesce(o.run_id, last_run_id)
      FROM unnest(
        ${outcomes.map(({ id }) => id)}::uuid[], ${outcomes.map(({ nextAt }) => nextAt?.toISOString() ?? null)}::timestamptz[],
        ${outcomes.map(({ lastError }) => lastError)}::text[], ${last.map((firing) => firing?.run?.id ?? null)}::uuid[]
      ) AS o(id, next_at, last_error, run_id)
      WHERE s.id = o.id RETURNING s.id
    )
    DELETE FROM schedule_firings f USING settled
    WHERE f.schedule_id = settled.id AND f.due_at < (
      SELECT due_at FROM schedule_firings k WHERE k.schedule_id = settled.id
      ORDER BY due_at DESC OFFSET ${keptFirings - 1} LIMIT 1
    )`;
}
