import type { Db } from '../client.ts';

export type Delivery = { runId: string; queue: string; priority: number; dispatch: number };

/** The owner gives a run back unfinished (drain): ready at once, under a new job id. Null when it was not its owner. */
export async function handBackRun(db: Db, incarnation: number, runId: string): Promise<Delivery | null> {
  const [row] = await db<Delivery[]>`
    UPDATE run_live SET owner = NULL, state = 'queued', dispatch = dispatch + 1
    WHERE id = ${runId} AND owner = ${incarnation}
    RETURNING id AS "runId", queue, priority, dispatch`;
  return row ?? null;
}

/** Only a person can decide how this run goes on: it leaves the queue until somebody settles it. */
export async function parkRun(db: Db, incarnation: number, runId: string): Promise<boolean> {
  const rows = await db`
    UPDATE run_live SET owner = NULL, state = 'parked' WHERE id = ${runId} AND owner = ${incarnation} RETURNING id`;
  return rows.length === 1;
}
