import type { Db } from '../client.ts';

/**
 * Condition on a `run_live` row: its last owner left it while an unsafe effect may have taken place. Such a run is not
 * ended from outside: it goes to its next owner, who parks it for a person when somebody wants it cancelled. A waiting
 * run has nothing under way. A parked one ends when the person it waits for has settled it.
 */
export function inDoubt(db: Db) {
  return db`(run_live.state IN ('queued', 'parked', 'quarantined') AND run_live.started_at IS NOT NULL AND EXISTS (
    WITH events AS MATERIALIZED (
      SELECT (e->>'seq')::int AS seq, e->>'type' AS type, e->'data'->>'name' AS step, e->'data'->>'effect' AS effect
      FROM run_journal j, json_array_elements(j.events::json) e WHERE j.run_id = run_live.id
    )
    SELECT FROM events intended
    WHERE intended.type = 'step.intended' AND intended.effect = 'unsafe' AND NOT EXISTS (
      SELECT FROM events settled WHERE settled.step = intended.step AND settled.seq > intended.seq
        AND settled.type IN ('step.completed', 'step.failed', 'run.resolved')
    )
  ))`;
}
