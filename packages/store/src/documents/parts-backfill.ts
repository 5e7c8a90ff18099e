import type { Role } from '@flowstate/contracts';
import type { Sql } from '../client.ts';
import { acceptIngestRun, findIngestWorkflow } from './ingest-run.ts';

export type StartedBackfill = { runId: string; collection: string; documents: number };

/** For whom it is done, the least powerful first. */
const mayEmbed: readonly Role[] = ['service', 'integration', 'manager', 'admin'];

/**
 * Starts a run that embeds up to `limit` long documents of one collection in parts, which were embedded as a whole
 * before that was done. Null when there is none left, while an earlier such run is live, and while no worker or no user
 * could do it. One collection each, since the run of one that another model embedded fails.
 */
export async function startPartsBackfill(sql: Sql, limit: number): Promise<StartedBackfill | null> {
  return await sql.begin(async (tx) => {
    const [first] = await tx<{ collection: string }[]>`
      SELECT d.collection FROM documents_without_parts w JOIN documents d ON d.id = w.document_id
      WHERE w.run_id IS NULL
        AND NOT EXISTS (SELECT FROM documents_without_parts o JOIN run_live l ON l.id = o.run_id)
      ORDER BY w.document_id LIMIT 1`;
    if (first === undefined) return null;
    const workflow = await findIngestWorkflow(tx);
    const [user] = await tx<{ id: string; role: Role }[]>`
      SELECT id, role FROM users
      WHERE role = ANY (${[...mayEmbed]}) AND disabled_at IS NULL AND contained_at IS NULL
      ORDER BY array_position(${[...mayEmbed]}::text[], role), created_at LIMIT 1`;
    if (workflow === undefined || user === undefined) return null;
    const documents = await tx<{ id: string }[]>`
      SELECT w.document_id AS id FROM documents_without_parts w JOIN documents d ON d.id = w.document_id
      WHERE w.run_id IS NULL AND d.collection = ${first.collection} ORDER BY w.document_id LIMIT ${limit}
      FOR UPDATE OF w`;
    const documentIds = documents.map(({ id }) => id);
    const by = { principalId: user.id, role: user.role, priority: 9, tag: 'backfill' };
    const runId = await acceptIngestRun(tx, workflow, { documentIds, ...by });
    await tx`UPDATE documents_without_parts SET run_id = ${runId} WHERE document_id = ANY (${documentIds}::uuid[])`;
    return { runId, ...first, documents: documentIds.length };
  });
}
