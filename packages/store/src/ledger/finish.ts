import { expiredError, type Delivery, type TerminalState } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import type { Settles } from '../spending/settle.ts';
import { among } from './among.ts';
import { endings, tellRetried } from './endings.ts';

/**
 * A run's end; `events` are what was finished since its last chunk, `output` and `error` are JSON text. A large output
 * is stored already: `outputRef` names it then.
 */
export type RunEnd = Settles & {
  runId: string;
  /** Incarnation that claimed the run. */
  owner: number;
  chunk: number;
  state: TerminalState;
  lastSeq: number;
  events: string;
  output: string | null;
  outputRef?: string | null;
  error: string | null;
};

/** `expired`: it ended as cancelled, because its time to live was over. */
export type FinishAnswer = 'finished' | 'expired' | 'cancel-requested' | 'lost';

type Row = { ended: string | null; expired: boolean; woken: Delivery | null; missed: string | null };

/**
 * Ends many runs in one statement, each only for its owner and only if nothing was written since. A cancel that was
 * committed first wins: the owner is told and ends the run as cancelled. `woken` are parents to be delivered now.
 * Ends of children are best written one at a time: two batches that share parents could wait for each other.
 */
export async function finishRuns(db: Db, ends: RunEnd[]): Promise<{ answers: FinishAnswer[]; woken: Delivery[] }> {
  const sorted = ends.toSorted((a, b) => (a.runId < b.runId ? -1 : 1));
  const wanted = sorted.map((e) => e.runId);
  const rows = await db<Row[]>`
    WITH input AS (
      SELECT * FROM unnest(
        ${wanted}::uuid[], ${sorted.map((e) => e.chunk)}::int[], ${sorted.map((e) => e.state)}::text[],
        ${sorted.map((e) => e.lastSeq)}::int[], ${sorted.map((e) => e.events)}::text[],
        ${sorted.map((e) => e.output)}::text[], ${sorted.map((e) => e.outputRef ?? null)}::text[],
        ${sorted.map((e) => e.error)}::text[], ${sorted.map((e) => e.owner)}::int[]
      ) AS t(id, chunk, state, last_seq, events, output, output_ref, error, owner)
    ),
    ended AS (
      DELETE FROM run_live l USING input i
      WHERE l.id = i.id AND ${among(db, 'l', wanted)} AND l.owner = i.owner AND l.chunk = i.chunk AND (NOT l.cancel OR i.state = 'cancelled')
      RETURNING l.id, l.attempt, l.started_at, l.seq_base, l.webhook, l.parent_id,
                i.chunk, i.state, i.last_seq, i.events, i.output, i.output_ref,
                i.state = 'cancelled' AND coalesce(l.expires_at <= now(), false) AS expired,
                CASE WHEN i.state = 'cancelled' AND l.expires_at <= now() THEN ${JSON.stringify(expiredError)} ELSE i.error END AS error
    ),
    ${endings(db)}
    SELECT id AS ended, expired, NULL AS woken, NULL::uuid AS missed FROM ended
    UNION ALL SELECT NULL, false, to_json(woken), NULL FROM woken WHERE deliver
    UNION ALL SELECT NULL, false, NULL, id FROM missed`;
  const ids = new Map(
    rows.flatMap((row) => (row.ended === null ? [] : [[row.ended, row.expired ? 'expired' : 'finished'] as const])),
  );
  const missed = rows.flatMap((row) => row.missed ?? []);
  const woken = [...rows.flatMap((row) => row.woken ?? []), ...(await tellRetried(db, missed))];
  const rest = ends.filter((e) => !ids.has(e.runId)).map((e) => e.runId);
  if (rest.length === 0) return { answers: ends.map((e) => ids.get(e.runId) ?? 'lost'), woken };

  const answers = await whyNot(db, ends, ids);
  return { answers, woken };
}

/** Either cancelled before us, or lost, or finished by an earlier try of ours whose answer never came. */
async function whyNot(db: Db, ends: RunEnd[], finished: ReadonlyMap<string, FinishAnswer>): Promise<FinishAnswer[]> {
  const rest = ends.filter((e) => !finished.has(e.runId));
  const ids = rest.map((e) => e.runId);
  const rows = await db<{ id: string; answer: FinishAnswer }[]>`
    SELECT i.id, CASE
        WHEN l.owner = i.owner AND l.cancel THEN 'cancel-requested'
        WHEN l.id IS NULL AND e.id IS NOT NULL THEN 'finished' ELSE 'lost'
      END AS answer
    FROM unnest(
      ${ids}::uuid[], ${rest.map((e) => e.owner)}::int[], ${rest.map((e) => e.state)}::text[],
      ${rest.map((e) => e.chunk)}::int[], ${rest.map((e) => e.lastSeq)}::int[]
    ) AS i(id, owner, state, chunk, last_seq)
    LEFT JOIN run_live l ON l.id = i.id AND ${among(db, 'l', ids)}
    -- Another owner's end would have gone through other chunks or come to another event.
    LEFT JOIN run_ends e ON e.id = i.id AND e.state = i.state AND e.chunk = i.chunk AND e.last_seq = i.last_seq`;
  const answers = new Map(rows.map(({ id, answer }) => [id, answer]));
  return ends.map(({ runId }) => finished.get(runId) ?? answers.get(runId) ?? 'lost');
}
