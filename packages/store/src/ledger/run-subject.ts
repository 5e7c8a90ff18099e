import type { Db } from '../client.ts';

/** A run's input and the schema it fits, which says what stored things the run is about; null when there is no run. */
export async function readRunSubject(
  db: Db,
  runId: string,
): Promise<{ schema: Record<string, unknown>; input: unknown } | null> {
  const [row] = await db<{ schema: Record<string, unknown>; input: string }[]>`
    SELECT w.input_schema AS schema, r.input FROM runs r JOIN workflows w ON w.id = r.workflow_id WHERE r.id = ${runId}`;
  return row === undefined ? null : { schema: row.schema, input: JSON.parse(row.input) };
}
