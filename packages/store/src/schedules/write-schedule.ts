import { v7 as uuidv7 } from 'uuid';
import type { Db } from '../client.ts';
import { scheduleColumns, toSchedule, type ScheduleRow, type StoredSchedule } from './stored-schedule.ts';

/** A schedule's settings; `nextAt` is what its recurrence says, null while it is paused. */
export type ScheduleSettings = Omit<
  ScheduleRow,
  'id' | 'revision' | 'lastError' | 'lastFiredAt' | 'lastRunId' | 'updatedAt'
>;

export async function insertSchedule(db: Db, s: ScheduleSettings): Promise<StoredSchedule> {
  const [row] = await db<ScheduleRow[]>`
    WITH s AS (
      INSERT INTO schedules (id, owner_id, name, workflow, input, cron, every_ms, timezone, missed, overlap, priority,
                             tags, start_at, end_at, enabled, next_at, created_at)
      VALUES (${uuidv7()}, ${s.ownerId}, ${s.name}, ${s.workflow}, ${s.input}, ${s.cron}, ${s.everyMs}, ${s.timezone},
              ${s.missed}, ${s.overlap}, ${s.priority}, ${s.tags}, ${s.startAt}, ${s.endAt}, ${s.enabled},
              ${s.nextAt}, ${s.createdAt})
      RETURNING *
    )
    SELECT ${scheduleColumns(db)} FROM s`;
  if (row === undefined) throw new Error('INSERT … RETURNING gave no row');
  return toSchedule(row);
}

/**
 * Replaces a schedule's settings as they were read at `revision`; why it was suspended is forgotten. Null when somebody
 * else changed or deleted it meanwhile.
 */
export async function updateSchedule(
  db: Db,
  id: string,
  revision: number,
  s: ScheduleSettings,
): Promise<StoredSchedule | null> {
  const [row] = await db<ScheduleRow[]>`
    UPDATE schedules s SET
      owner_id = ${s.ownerId}, name = ${s.name}, workflow = ${s.workflow}, input = ${s.input}, cron = ${s.cron},
      every_ms = ${s.everyMs}, timezone = ${s.timezone}, missed = ${s.missed}, overlap = ${s.overlap},
      priority = ${s.priority}, tags = ${s.tags}, start_at = ${s.startAt}, end_at = ${s.endAt},
      enabled = ${s.enabled}, next_at = ${s.nextAt}, last_error = NULL, revision = revision + 1, updated_at = now()
    WHERE id = ${id} AND revision = ${revision} RETURNING ${scheduleColumns(db)}`;
  return row ? toSchedule(row) : null;
}

/** It does not fire until it is resumed. Null when there is no such schedule. */
export async function pauseSchedule(db: Db, id: string): Promise<StoredSchedule | null> {
  const [row] = await db<ScheduleRow[]>`
    UPDATE schedules s SET enabled = false, next_at = NULL, revision = revision + 1, updated_at = now()
    WHERE id = ${id} RETURNING ${scheduleColumns(db)}`;
  return row ? toSchedule(row) : null;
}

/** Runs it has started stay. False when there is no such schedule. */
export async function deleteSchedule(db: Db, id: string): Promise<boolean> {
  const rows = await db`DELETE FROM schedules WHERE id = ${id} RETURNING id`;
  return rows.length === 1;
}
