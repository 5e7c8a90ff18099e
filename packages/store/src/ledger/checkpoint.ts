import type { Db } from '../client.ts';
import type { Settles } from '../spending/settle.ts';
import { among } from './among.ts';

/** Events of one run that were finished in one window; `chunk` is one more than the run's last. */
export type Chunk = Settles & {
  runId: string;
  /** Incarnation that claimed the run. */
  owner: number;
  chunk: number;
  events: string;
  /** A step was finished: whatever killed earlier owners in it, the run is a suspect no longer. */
  progress?: boolean;
};

/**
 * Writes the chunks of many runs in one statement. The UPDATE takes each run's row lock and is the fence: a worker
 * that lost its run gets no row back and writes nothing. Answers per chunk whether it is in the ledger; a chunk
 * written by an earlier try whose answer was lost counts as written.
 */
export async function writeChunks(db: Db, chunks: Chunk[]): Promise<boolean[]> {
  if (chunks.length === 0) return [];
  const sorted = chunks.toSorted((a, b) => (a.runId < b.runId ? -1 : 1));
  const ids = sorted.map((c) => c.runId);
  const written = await db<{ run_id: string }[]>`
    WITH input AS (
      SELECT * FROM unnest(
        ${ids}::uuid[], ${sorted.map((c) => c.chunk)}::int[], ${sorted.map((c) => c.events)}::text[],
        ${sorted.map((c) => Number(c.progress ?? false))}::int[],
        ${sorted.map((c) => c.owner)}::int[]
      ) AS t(id, chunk, events, progress, owner)
    ),
    fenced AS (
      UPDATE run_live l SET chunk = i.chunk, crashes = CASE WHEN i.progress = 1 THEN 0 ELSE l.crashes END FROM input i
      WHERE l.id = i.id AND ${among(db, 'l', ids)} AND l.owner = i.owner AND l.chunk = i.chunk - 1
      RETURNING l.id, i.chunk, i.events
    )
    INSERT INTO run_journal (run_id, chunk, events) SELECT id, chunk, events FROM fenced RETURNING run_id`;
  const done = new Set(written.map((row) => row.run_id));
  const doubtful = chunks.filter((c) => !done.has(c.runId));
  if (doubtful.length > 0) {
    // Only the owner moves `chunk`, so an own row that already stands at this chunk was our lost answer.
    const own = await db<{ id: string; chunk: number; owner: number | null }[]>`
      SELECT id, chunk, owner FROM run_live WHERE id = ANY(${doubtful.map((c) => c.runId)}::uuid[])`;
    for (const { id, chunk, owner } of own)
      if (doubtful.some((c) => c.runId === id && c.chunk === chunk && c.owner === owner)) done.add(id);
  }
  return chunks.map((c) => done.has(c.runId));
}
