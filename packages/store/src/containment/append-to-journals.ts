import type { RunEvent } from '@flowstate/contracts';
import type { Db } from '../client.ts';

/**
 * Adds one event to the journals of runs whose rows this transaction has locked, as their next chunk. Statements of
 * their own, after the lock: they must see what the last owner wrote before that.
 */
export async function appendToJournals(
  tx: Db,
  ids: readonly string[],
  { type, data }: Pick<RunEvent, 'type' | 'data'>,
): Promise<void> {
  const appended = await tx<{ id: string; seq: number }[]>`
    WITH numbered AS (
      SELECT l.id, l.chunk + 1 AS chunk, 1 + greatest(
        -- Accepted, and started where it has.
        l.seq_base + CASE WHEN l.started_at IS NULL THEN 1 ELSE 2 END,
        (SELECT max((e->>'seq')::int) FROM run_journal j, json_array_elements(j.events::json) e WHERE j.run_id = l.id)
      ) AS seq
      FROM run_live l WHERE l.id = ANY(${ids}::uuid[])
    ),
    journal AS (
      INSERT INTO run_journal (run_id, chunk, events)
      SELECT id, chunk, json_build_array(json_build_object(
        'seq', seq, 'type', ${type}::text, 'at', ${new Date().toISOString()}::text, 'data', ${JSON.stringify(data)}::json
      ))::text
      FROM numbered
    )
    SELECT id, seq FROM numbered`;
  await tx`
    UPDATE run_live l SET chunk = l.chunk + 1,
      -- A start that is yet to come is numbered after it: no reader finds it where they have been already.
      seq_base = CASE WHEN l.started_at IS NULL THEN a.seq - 1 ELSE l.seq_base END
    FROM unnest(${appended.map(({ id }) => id)}::uuid[], ${appended.map(({ seq }) => seq)}::int[]) AS a(id, seq)
    WHERE l.id = a.id`;
}
