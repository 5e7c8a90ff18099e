import type { Delivery, Inbox, InboxEntry } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { deliveryColumns, mayDeliver, wakeUp } from './deliveries.ts';

export type Signal = {
  runId: string;
  name: string;
  data: unknown;
  principalId: string;
  /** The run that sends it, acting for the principal. */
  byRun?: string | undefined;
};

/** Adds a signal and wakes the run if it waits. Null: the run is over; else what the caller must deliver, if anything. */
export async function sendSignal(db: Db, signal: Signal): Promise<{ delivery: Delivery | null } | null> {
  const [row] = await db<(Delivery & { deliver: boolean })[]>`
    WITH old AS (SELECT id, state FROM run_live WHERE id = ${signal.runId} FOR UPDATE),
    sent AS (
      INSERT INTO run_inbox (run_id, kind, name, data, principal_id, by_run)
      SELECT id, 'signal', ${signal.name}, ${JSON.stringify(signal.data ?? null)}, ${signal.principalId}::uuid,
             ${signal.byRun ?? null}::uuid FROM old
    )
    UPDATE run_live l SET ${wakeUp(db)} FROM old WHERE l.id = old.id AND l.id = ${signal.runId}
    RETURNING ${deliveryColumns(db, 'l')}, ${mayDeliver(db)} AS deliver`;
  if (row === undefined) return null;
  const { deliver, ...delivery } = row;
  return { delivery: deliver ? delivery : null };
}

/** Everything in a live run's inbox, oldest first, and whether somebody wants it cancelled. */
export async function readInbox(db: Db, runId: string): Promise<Inbox & { cancelled: boolean }> {
  const [row] = await db<{ seen: number; cancelled: boolean; entries: InboxEntry[] | null }[]>`
    SELECT l.inbox AS seen, l.cancel AS cancelled, ${inboxEntries(db)} AS entries
    FROM run_live l WHERE l.id = ${runId}`;
  return { seen: row?.seen ?? 0, cancelled: row?.cancelled ?? false, entries: row?.entries ?? [] };
}

/** Subselect: the inbox of `run_live l` as JSON; null while it is empty. */
export function inboxEntries(db: Db) {
  return db`CASE WHEN l.inbox > 0 THEN (
    SELECT json_agg(json_build_object('id', i.id, 'kind', i.kind, 'name', i.name, 'data', i.data::json,
                                      'principalId', i.principal_id, 'byRun', i.by_run, 'at', i.at) ORDER BY i.id)
    FROM run_inbox i WHERE i.run_id = l.id) END`;
}
