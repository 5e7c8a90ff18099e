import type { RunEvent } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { readEvents } from './read.ts';

/** The ledger's row of a run nobody owns, and its last event's number. */
type Unowned = { state: string; chunk: number; lastSeq: number; events: RunEvent[] };

/** Adds why it was parked to the record of a run that no worker holds. */
export async function recordParked(db: Db, runId: string, why: { reason: string; step: string }): Promise<void> {
  const run = await readUnowned(db, runId);
  if (run?.state === 'parked') await append(db, runId, run, { type: 'run.parked', data: why }, false);
}

export type Resolution =
  /** The effect in doubt did take place; `output` is what its step returns. */
  | { outcome: 'happened'; output: unknown }
  /** It did not: the step runs again. Also: go on with a run whose workers died. */
  | { outcome: 'not-happened' };

/**
 * A person settles a parked run: it stands in line again, with its step's result or as if the step had never begun.
 * Null unless it is parked; `no-step` when no step of it is in doubt but `happened` was said.
 */
export async function resolveRun(
  db: Db,
  runId: string,
  by: string,
  resolution: Resolution,
): Promise<'resolved' | 'no-step' | null> {
  const run = await readUnowned(db, runId);
  if (run?.state !== 'parked') return null;
  const step = stepInDoubt(run.events);
  if (resolution.outcome === 'happened' && step === null) return 'no-step';
  const data = { by, ...(step !== null && { name: step }), ...resolution };
  return (await append(db, runId, run, { type: 'run.resolved', data }, true)) ? 'resolved' : null;
}

/** The step of which nobody knows whether its effect took place; null when the run was parked for its crashes. */
function stepInDoubt(events: readonly RunEvent[]): string | null {
  const parked = events.findLast(({ type }) => type === 'run.parked');
  return (parked?.data.step as string | undefined) || null;
}

async function readUnowned(db: Db, runId: string): Promise<Unowned | null> {
  const [row] = await db<{ state: string; chunk: number }[]>`
    SELECT state, chunk FROM run_live WHERE id = ${runId} AND owner IS NULL`;
  if (row === undefined) return null;
  const events = await readEvents(db, runId);
  return { ...row, events, lastSeq: events.at(-1)?.seq ?? 0 };
}

/** One event more, unless the run went on meanwhile; with `ready` it stands in line again, cleared of its crashes. */
async function append(
  db: Db,
  runId: string,
  { chunk, lastSeq }: Unowned,
  what: Pick<RunEvent, 'type' | 'data'>,
  ready: boolean,
): Promise<boolean> {
  const event: RunEvent = { seq: lastSeq + 1, at: new Date().toISOString(), ...what };
  const rows = await db`
    WITH live AS (
      UPDATE run_live SET chunk = chunk + 1, dispatch = dispatch + 1,
        state = CASE WHEN ${ready} THEN 'queued' ELSE state END, crashes = CASE WHEN ${ready} THEN 0 ELSE crashes END,
        due_at = CASE WHEN ${ready} THEN now() END
      WHERE id = ${runId} AND owner IS NULL AND state = 'parked' AND chunk = ${chunk} RETURNING chunk
    )
    INSERT INTO run_journal (run_id, chunk, events)
    SELECT ${runId}, chunk, ${JSON.stringify([event])} FROM live RETURNING run_id`;
  return rows.length === 1;
}
