import type { TerminalState } from '@flowstate/contracts';
import type { Db } from '../client.ts';

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
 * committed first wins: the owner is told and ends the run as cancelled.
 */
export async function finishRuns(db: Db, incarnation: number, ends: RunEnd[]): Promise<FinishAnswer[]> {
  const sorted = ends.toSorted((a, b) => (a.runId < b.runId ? -1 : 1));
  const finished = await db<{ id: string }[]>`
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
      RETURNING l.id, l.attempt, l.started_at, l.seq_base, i.chunk, i.state, i.last_seq, i.events, i.output, i.error
    )
    INSERT INTO run_ends (id, attempt, started_at, seq_base, chunk, state, last_seq, events, output, error)
    SELECT * FROM ended RETURNING id`;
  const ids = new Set(finished.map((row) => row.id));
  const rest = ends.filter((e) => !ids.has(e.runId)).map((e) => e.runId);
  if (rest.length === 0) return ends.map(() => 'finished');

  // Either cancelled before us, or lost, or finished by an earlier try of ours whose answer never came.
  const state = await db<{ id: string; cancel: boolean }[]>`
    SELECT id, cancel AND owner = ${incarnation} AS cancel FROM run_live WHERE id = ANY(${rest}::uuid[])`;
  const live = new Map(state.map((row) => [row.id, row.cancel]));
  return ends.map(({ runId }) => {
    if (ids.has(runId) || !live.has(runId)) return 'finished';
    return live.get(runId) ? 'cancel-requested' : 'lost';
  });
}
