import type { Role } from '@flowstate/contracts';
import type { Sql } from '../client.ts';
import { acceptIngestRun, findIngestWorkflow } from './ingest-run.ts';

type Options = {
  /** Milliseconds that a gateway has for starting the run itself. */
  afterMs: number;
  /** Documents of one run. */
  limit: number;
};

/**
 * Starts a run for documents that were stored by one principal and have none, as a gateway that dies in the middle of
 * an import leaves them. Answers null when there are none, and while no worker has offered to embed; a run's id is null
 * when all of them had their embedding by now.
 */
export async function startForgotten(
  sql: Sql,
  { afterMs, limit }: Options,
): Promise<{ runId: string | null; documents: number } | null> {
  return await sql.begin(async (tx) => {
    const overdue = tx`since <= now() - ${afterMs} * interval '1 millisecond'`;
    const [sender] = await tx<{ principalId: string; role: Role }[]>`
      SELECT principal_id AS "principalId", role FROM documents_awaiting_run WHERE ${overdue} ORDER BY since LIMIT 1`;
    if (sender === undefined) return null;
    const workflow = await findIngestWorkflow(tx);
    if (workflow === undefined) return null;
    const lacking = await tx<{ id: string }[]>`
      WITH taken AS (
        DELETE FROM documents_awaiting_run WHERE document_id IN (
          SELECT document_id FROM documents_awaiting_run
          WHERE ${overdue} AND principal_id = ${sender.principalId} AND role = ${sender.role}
          ORDER BY document_id LIMIT ${limit} FOR UPDATE SKIP LOCKED)
        RETURNING document_id)
      SELECT d.id FROM taken t JOIN documents d ON d.id = t.document_id WHERE d.embedding IS NULL ORDER BY d.id`;
    const documentIds = lacking.map(({ id }) => id);
    if (documentIds.length === 0) return { runId: null, documents: 0 };
    const runId = await acceptIngestRun(tx, workflow, { documentIds, ...sender, priority: 5, tag: 'recovered' });
    return { runId, documents: documentIds.length };
  });
}
