import type { Db } from '../client.ts';

/** What a workflow version declares about its runs; null: no cap. */
export type WorkflowCaps = { id: number; name: string; version: string; total: number | null; perKey: number | null };

/** Of all published versions, the newest of each workflow first. */
export async function workflowCaps(db: Db): Promise<WorkflowCaps[]> {
  return db<WorkflowCaps[]>`
    SELECT id, name, version, max_concurrent AS total, max_per_key AS "perKey" FROM workflows
    ORDER BY name, published_at DESC, id DESC`;
}
