import type { Viewer } from '@flowstate/contracts';
import type { Db } from '../client.ts';

/** Notes that a run is to embed the documents in the sender's name; in the transaction that stores them. */
export async function noteAwaitingRun(db: Db, documentIds: readonly string[], { id, role }: Viewer): Promise<void> {
  if (documentIds.length === 0) return;
  await db`
    INSERT INTO documents_awaiting_run (document_id, principal_id, role)
    SELECT document_id, ${id}, ${role} FROM unnest(${[...documentIds]}::uuid[]) document_id
    ORDER BY document_id
    ON CONFLICT (document_id) DO UPDATE
      SET principal_id = excluded.principal_id, role = excluded.role, since = excluded.since`;
}

/** Their run is accepted. What somebody else is storing anew at this moment stays noted: that one starts a run, too. */
export async function endAwaitingRun(db: Db, documentIds: readonly string[]): Promise<void> {
  await db`
    DELETE FROM documents_awaiting_run WHERE document_id IN (
      SELECT document_id FROM documents_awaiting_run WHERE document_id = ANY (${[...documentIds]}::uuid[])
      FOR UPDATE SKIP LOCKED)`;
}
