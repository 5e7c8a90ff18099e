import type { Db } from '../client.ts';
import { scheduleColumns, toSchedule, type ScheduleRow, type StoredSchedule } from './stored-schedule.ts';

export async function readSchedule(db: Db, id: string): Promise<StoredSchedule | null> {
  const [row] = await db<ScheduleRow[]>`SELECT ${scheduleColumns(db)} FROM schedules s WHERE id = ${id}`;
  return row ? toSchedule(row) : null;
}

/** Newest first, those older than the id `before`. */
export async function listSchedules(
  db: Db,
  { before, limit }: { before: string | undefined; limit: number },
): Promise<StoredSchedule[]> {
  const rows = await db<ScheduleRow[]>`
    SELECT ${scheduleColumns(db)} FROM schedules s
    WHERE true ${before === undefined ? db`` : db`AND id < ${before}`}
    ORDER BY id DESC LIMIT ${limit}`;
  return rows.map(toSchedule);
}
