import type { Delivery } from '@flowstate/contracts';
import { advisoryLockClasses } from '../advisory-locks.ts';
import type { Db } from '../client.ts';
import { among } from './among.ts';
import { deliveryColumns, mayDeliver, wakeUp } from './deliveries.ts';

/**
 * What belongs to every end of a run, whoever ends it, in the statement that ends it: the row that stays, the webhook
 * that must be told, and the news for the run that waits for it. Follows a CTE
 * `ended (id, attempt, state, started_at, seq_base, last_seq, chunk, events, output, output_ref, error, webhook,
 * parent_id)`;
 * `woken` are deliveries of parents that waited, `missed` those that have no live row: see `tellRetried`.
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
    ),
    missed AS (
      SELECT DISTINCT parent_id AS id FROM ended WHERE parent_id IS NOT NULL AND parent_id NOT IN (SELECT id FROM old)
    )`;
}

/**
 * Tells runs that were over, to a statement that put something into their inboxes (a child's end, say), and that were
 * being retried at that moment: neither the retry nor that statement saw the other. Returns what is to be delivered.
 */
export async function tellRetried(db: Db, runIds: readonly string[]): Promise<Delivery[]> {
  if (runIds.length === 0) return [];
  const ids = runIds.toSorted();
  // A retry that began before is over then; one that begins after it sees what is in the inbox.
  await lockRetries(db, ids);
  const rows = await db<(Delivery & { deliver: boolean })[]>`
    WITH old AS (SELECT id, state FROM run_live WHERE id = ANY(${ids}::uuid[]) ORDER BY id FOR UPDATE)
    UPDATE run_live l SET ${wakeUp(db)} FROM old
    WHERE l.id = old.id AND ${among(db, 'l', ids)} AND l.inbox < (SELECT count(*) FROM run_inbox i WHERE i.run_id = l.id)
    RETURNING ${deliveryColumns(db, 'l')}, ${mayDeliver(db)} AS deliver`;
  return rows.flatMap(({ deliver, ...delivery }) => (deliver ? [delivery] : []));
}

/** Until the transaction ends nobody else retries them. */
export async function lockRetries(db: Db, ids: readonly string[]): Promise<void> {
  await db`
    SELECT pg_advisory_xact_lock(${advisoryLockClasses.retries}, key)
    FROM (SELECT DISTINCT hashtext(id) AS key FROM unnest(${[...ids]}::text[]) AS i(id) ORDER BY key) k`;
}
