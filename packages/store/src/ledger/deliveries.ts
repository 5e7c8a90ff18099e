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
 * becomes ready under a new job id: the caller delivers it, unless a cap makes the feeder decide.
 */
export function wakeUp(db: Db) {
  return db`
    inbox = l.inbox + 1,
    state = CASE WHEN old.state = 'waiting' THEN 'queued' ELSE l.state END,
    wake_at = CASE WHEN old.state = 'waiting' THEN NULL ELSE l.wake_at END,
    ready_at = CASE WHEN old.state = 'waiting' THEN now() ELSE l.ready_at END,
    due_at = CASE WHEN old.state = 'waiting' AND l.capped THEN now() ELSE l.due_at END,
    dispatch = l.dispatch + CASE WHEN old.state = 'waiting' THEN 1 ELSE 0 END`;
}
