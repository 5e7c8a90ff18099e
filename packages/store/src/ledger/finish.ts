import type { Delivery, TerminalState } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { endings } from './endings.ts';

/** A run's end; `events` are what was finished since its last chunk, `output` and `error` are JSON text. */
export type RunEnd = {
  runId: string;
  chunk: number;
  state: TerminalState;
  lastSeq: number;
  events: string;
  output: string | null;
  error: string | null;
};

export type FinishAnswer = 'finished' | 'cancel-requested' | 'lost';

/**
 * Ends many runs in one statement, each only for its owner and only if nothing was written since. A cancel that was
 * committed first wins: the owner is told and ends the run as cancelled. `woken` are parents to be delivered now.
 * Ends of children are best written one at a time: two batches that share parents could wait for each other.
 */
export async function finishRuns(
  db: Db,
  incarnation: number,
  ends: RunEnd[],
): Promise<{ answers: FinishAnswer[]; woken: Delivery[] }> {
  const sorted = ends.toSorted((a, b) => (a.runId < b.runId ? -1 : 1));
  const rows = await db<({ ended: string } | { ended: null; woken: Delivery })[]>`
    WITH input AS (
      SELECT * FROM unnest(
        ${sorted.map((e) => e.runId)}::uuid[], ${sorted.map((e) => e.chunk)}::int[], ${sorted.map((e) => e.state)}::text[],
        ${sorted.map((e) => e.lastSeq)}::int[], ${sorted.map((e) => e.events)}::text[],
        ${sorted.map((e) => e.output)}::text[], ${sorted.map((e) => e.error)}::text[]
      ) AS t(id, chunk, state, last_seq, events, output, error)
    ),
    ended AS (
      DELETE FROM run_live l USING input i
      WHERE l.id = i.id AND l.owner = ${incarnation} AND l.chunk = i.chunk AND (NOT l.cancel OR i.state = 'cancelled')
      RETURNING l.id, l.attempt, l.started_at, l.seq_base, l.webhook, l.parent_id,
                i.chunk, i.state, i.last_seq, i.events, i.output, i.error
    ),
    ${endings(db)}
    SELECT id AS ended, NULL AS woken FROM ended
    UNION ALL SELECT NULL, to_json(woken) FROM woken WHERE deliver`;
  const ids = new Set(rows.flatMap((row) => row.ended ?? []));
  const woken = rows.flatMap((row) => (row.ended === null ? row.woken : []));
  const rest = ends.filter((e) => !ids.has(e.runId)).map((e) => e.runId);
  if (rest.length === 0) return { answers: ends.map(() => 'finished'), woken };

  // Either cancelled before us, or lost, or finished by an earlier try of ours whose answer never came.
  const state = await db<{ id: string; cancel: boolean }[]>`
    SELECT id, cancel AND owner = ${incarnation} AS cancel FROM run_live WHERE id = ANY(${rest}::uuid[])`;
  const live = new Map(state.map((row) => [row.id, row.cancel]));
  const answers = ends.map(({ runId }): FinishAnswer => {
    if (ids.has(runId) || !live.has(runId)) return 'finished';
    return live.get(runId) ? 'cancel-requested' : 'lost';
  });
  return { answers, woken };
}
