import type { Delivery } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { deliveryColumns } from './deliveries.ts';

/** The owner gives a run back unfinished (drain): ready at once, under a new job id. Null when it was not its owner. */
export async function handBackRun(db: Db, incarnation: number, runId: string): Promise<Delivery | null> {
  const [row] = await db<Delivery[]>`
    UPDATE run_live SET owner = NULL, state = 'queued', dispatch = dispatch + 1
    WHERE id = ${runId} AND owner = ${incarnation}
    RETURNING ${deliveryColumns(db, 'run_live')}`;
  return row ?? null;
}

/** Only a person can decide how this run goes on: it leaves the queue until somebody settles it. */
export async function parkRun(db: Db, incarnation: number, runId: string): Promise<boolean> {
  const rows = await db`
    UPDATE run_live SET owner = NULL, state = 'parked' WHERE id = ${runId} AND owner = ${incarnation} RETURNING id`;
  return rows.length === 1;
}

/**
 * The owner puts a run that failed aside until its next try is due. Everything it recorded must be in the ledger. A
 * cancel that was committed first wins: the owner is asked to end it instead.
 */
export async function postponeRun(
  db: Db,
  incarnation: number,
  { runId, delayMs }: { runId: string; delayMs: number },
): Promise<'postponed' | 'cancel-requested' | 'lost'> {
  const [row] = await db<{ done: boolean }[]>`
    WITH mine AS (SELECT id, cancel FROM run_live WHERE id = ${runId} AND owner = ${incarnation} FOR UPDATE),
    postponed AS (
      UPDATE run_live l SET owner = NULL, state = 'queued', dispatch = l.dispatch + 1,
        ready_at = now() + ${delayMs} * interval '1 millisecond', due_at = now() + ${delayMs} * interval '1 millisecond'
      FROM mine WHERE l.id = mine.id AND NOT mine.cancel RETURNING l.id
    )
    SELECT EXISTS (SELECT FROM postponed) AS done FROM mine`;
  if (row === undefined) return 'lost';
  return row.done ? 'postponed' : 'cancel-requested';
}
