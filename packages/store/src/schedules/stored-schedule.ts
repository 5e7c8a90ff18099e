import type { MissedPolicy, OverlapPolicy, Recurrence, Schedule, ScheduleState } from '@flowstate/contracts';
import type { Db } from '../client.ts';

/** A schedule as the API shows it, with what an edit must know. */
export type StoredSchedule = Schedule & {
  /** Of the row that was read: an edit of it is refused when somebody else's came first. */
  revision: number;
};

export type ScheduleRow = Recurrence & {
  id: string;
  ownerId: string;
  name: string | null;
  workflow: string;
  /** JSON text. */
  input: string;
  missed: MissedPolicy;
  overlap: OverlapPolicy;
  priority: number;
  tags: string[];
  enabled: boolean;
  revision: number;
  nextAt: Date | null;
  lastError: string | null;
  lastFiredAt: Date | null;
  lastRunId: string | null;
  updatedAt: Date;
};

/** The columns of a `schedules` row called `s`. */
export function scheduleColumns(db: Db) {
  return db`
    s.id, s.owner_id AS "ownerId", s.name, s.workflow, s.input, s.cron, s.every_ms AS "everyMs", s.timezone, s.missed,
    s.overlap, s.priority, s.tags, s.start_at AS "startAt", s.end_at AS "endAt", s.enabled, s.revision,
    s.next_at AS "nextAt", s.last_error AS "lastError", s.last_fired_at AS "lastFiredAt",
    s.last_run_id AS "lastRunId", s.created_at AS "createdAt", s.updated_at AS "updatedAt"`;
}

export function toSchedule(row: ScheduleRow): StoredSchedule {
  const at = (time: Date | null) => time?.toISOString() ?? null;
  return {
    ...row,
    input: JSON.parse(row.input),
    state: stateOf(row),
    startAt: at(row.startAt),
    endAt: at(row.endAt),
    nextAt: at(row.nextAt),
    lastFiredAt: at(row.lastFiredAt),
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  };
}

function stateOf({ enabled, lastError, nextAt }: ScheduleRow): ScheduleState {
  if (!enabled) return 'paused';
  if (lastError !== null) return 'suspended';
  return nextAt === null ? 'ended' : 'active';
}
