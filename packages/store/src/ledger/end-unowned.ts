import type { Delivery, EndedRun, RunError } from '@flowstate/contracts';
import type { Db, Sql } from '../client.ts';
import { deliveryColumns } from './deliveries.ts';
import { endings, tellRetried } from './endings.ts';

/** Runs that ended without an owner, and parents that waited for them and are to be delivered now. */
export type Ended = { ended: EndedRun[]; woken: Delivery[] };

type How = { state: EndedRun['state']; error: RunError | null; where: ReturnType<Sql> };

/**
 * Ends those of `ids` that no worker holds and that are as `where` says. Runs with a parent are best ended one at a
 * time: two statements that share parents could wait for each other.
 */
export async function endUnowned(db: Db, ids: string[], { state, error, where }: How): Promise<Ended> {
  const rows = await db<{ seq: number | null; delivery: Delivery | null; missed: string | null }[]>`
    WITH gone AS (
      DELETE FROM run_live WHERE id = ANY(${ids}::uuid[]) AND owner IS NULL AND ${where}
        -- Not if something was recorded while this waited for the row: its journal is read as it was before.
        AND chunk = (SELECT s.chunk FROM run_live s WHERE s.id = run_live.id)
      RETURNING *
    ),
    ended AS (
      SELECT id, attempt, ${state} AS state, started_at, seq_base, chunk, '[]' AS events, NULL AS output,
        NULL AS output_ref, ${error === null ? null : JSON.stringify(error)}::text AS error, webhook, parent_id,
        queue, priority, dispatch, workflow_id, crashes,
        -- The terminal event follows whatever was recorded; a run that never started has only been accepted.
        greatest(
          seq_base + CASE WHEN started_at IS NULL THEN 1 ELSE 2 END,
          (SELECT max((e->>'seq')::int) FROM run_journal j, json_array_elements(j.events::json) e WHERE j.run_id = gone.id)
        ) + 1 AS last_seq
      FROM gone
    ),
    ${endings(db)}
    SELECT l.last_seq AS seq, to_json(d) AS delivery, NULL::uuid AS missed
    FROM ended l, LATERAL (SELECT ${deliveryColumns(db, 'l')}) d
    UNION ALL SELECT NULL, to_json(woken), NULL FROM woken WHERE deliver
    UNION ALL SELECT NULL, NULL, id FROM missed`;
  const retried = await tellRetried(
    db,
    rows.flatMap(({ missed }) => missed ?? []),
  );
  return {
    ended: rows.flatMap(({ seq, delivery }) =>
      seq === null || delivery === null ? [] : { state, seq, error, delivery },
    ),
    woken: [...rows.flatMap(({ seq, delivery }) => (seq === null && delivery !== null ? delivery : [])), ...retried],
  };
}
