import type { Db } from '../client.ts';

/** What `Delivery` (contracts) needs of a `run_live` row called `row`. */
export function deliveryColumns(db: Db, row: 'l' | 'run_live') {
  const r = db(row);
  return db`
    ${r}.id AS "runId", ${r}.queue, ${r}.priority, ${r}.dispatch, ${r}.workflow_id AS "workflowId",
    ${r}.crashes > 0 AS suspect`;
}

/**
 * `SET` list that tells a run (`l`) there is something new in its inbox, `old` being the row before. A waiting run
 * becomes ready under a new job id: the caller delivers it (`mayDeliver`), unless a cap applies or others stand in line
 * before it, so that the feeder decides.
 */
export function wakeUp(db: Db) {
  return db`
    inbox = l.inbox + 1,
    state = CASE WHEN old.state = 'waiting' THEN 'queued' ELSE l.state END,
    wake_at = CASE WHEN old.state = 'waiting' THEN NULL ELSE l.wake_at END,
    ready_at = CASE WHEN old.state = 'waiting' THEN now() ELSE l.ready_at END,
    due_at = CASE
      WHEN old.state = 'waiting' AND (
        l.capped OR EXISTS (SELECT FROM queue_states q WHERE q.queue = l.queue AND (q.paused OR NOT q.open))
      ) THEN now()
      ELSE l.due_at END,
    dispatch = l.dispatch + CASE WHEN old.state = 'waiting' THEN 1 ELSE 0 END`;
}

/** After `wakeUp`: has the caller to deliver the run (`l`) now? */
export function mayDeliver(db: Db) {
  return db`old.state = 'waiting' AND l.due_at IS NULL`;
}
