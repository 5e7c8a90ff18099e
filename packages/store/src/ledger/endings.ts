import type { Db } from '../client.ts';
import { deliveryColumns, mayDeliver, wakeUp } from './deliveries.ts';

/**
 * What belongs to every end of a run, whoever ends it, in the statement that ends it: the row that stays, the webhook
 * that must be told, and the news for the run that waits for it. Follows a CTE
 * `ended (id, attempt, state, started_at, seq_base, last_seq, chunk, events, output, output_ref, error, webhook,
 * parent_id)`;
 * `woken` are deliveries of parents that waited.
 */
export function endings(db: Db) {
  return db`
    ends AS (
      INSERT INTO run_ends (id, attempt, state, started_at, seq_base, last_seq, chunk, events, output, output_ref, error)
      SELECT id, attempt, state, started_at, seq_base, last_seq, chunk, events, output, output_ref, error FROM ended
    ),
    hooks AS (INSERT INTO webhook_deliveries (run_id, attempt) SELECT id, attempt FROM ended WHERE webhook),
    told AS (
      INSERT INTO run_inbox (run_id, kind, name, data)
      SELECT parent_id, 'child', id::text, json_build_object('state', state)::text FROM ended WHERE parent_id IS NOT NULL
    ),
    old AS (
      SELECT id, state FROM run_live
      WHERE id = ANY(ARRAY(SELECT parent_id FROM ended WHERE parent_id IS NOT NULL)) ORDER BY id FOR UPDATE
    ),
    woken AS (
      UPDATE run_live l SET ${wakeUp(db)} FROM old WHERE l.id = old.id AND l.id = ANY(ARRAY(SELECT id FROM old))
      RETURNING ${deliveryColumns(db, 'l')}, ${mayDeliver(db)} AS deliver
    )`;
}
