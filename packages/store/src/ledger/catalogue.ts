import { FlowstateError, type WorkflowEntry } from '@flowstate/contracts';
import type { Db } from '../client.ts';

export type PublishedWorkflow = WorkflowEntry & { id: number };

type Row = Omit<PublishedWorkflow, 'concurrency'> & { total: number | null; perKey: number | null };

/**
 * A worker writes down the definitions it carries. Publishing the same again changes nothing; another schema under
 * the same name and version is refused (`conflict`), since runs of both would be told apart by nothing. What it says
 * about concurrency may change.
 * Returns the id of the version.
 */
export async function publishWorkflow(db: Db, entry: WorkflowEntry): Promise<number> {
  const [row] = await db<{ id: number; same: boolean }[]>`
    INSERT INTO workflows AS w (name, version, description, queue, input_schema, output_schema, max_concurrent, max_per_key)
    VALUES (${entry.name}, ${entry.version}, ${entry.description}, ${entry.queue},
            ${db.json(entry.input as never)}, ${db.json(entry.output as never)},
            ${entry.concurrency?.total ?? null}, ${entry.concurrency?.perKey ?? null})
    ON CONFLICT (name, version) DO UPDATE SET description = excluded.description, published_at = now(),
      max_concurrent = excluded.max_concurrent, max_per_key = excluded.max_per_key
    RETURNING id, queue = ${entry.queue} AND input_schema = ${db.json(entry.input as never)}
      AND output_schema = ${db.json(entry.output as never)} AS same`;
  if (row?.same !== true) {
    throw new FlowstateError(
      'conflict',
      `Workflow ${entry.name} ${entry.version} is already published with another schema: give it a new version`,
    );
  }
  return row.id;
}

/** All published workflows, the newest version of each first. */
export async function listWorkflows(db: Db): Promise<PublishedWorkflow[]> {
  const rows = await db<Row[]>`
    SELECT id, name, version, description, queue, input_schema AS input, output_schema AS output,
           max_concurrent AS total, max_per_key AS "perKey"
    FROM workflows ORDER BY name, published_at DESC, id DESC`;
  return rows.map(({ total, perKey, ...row }) => ({
    ...row,
    ...((total ?? perKey) !== null && {
      concurrency: { ...(total !== null && { total }), ...(perKey !== null && { perKey }) },
    }),
  }));
}
