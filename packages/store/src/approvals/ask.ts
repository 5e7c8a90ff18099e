import { isDeepStrictEqual } from 'node:util';
import { v7 as uuidv7 } from 'uuid';
import type { Db } from '../client.ts';

export type Question = {
  runId: string;
  step: string;
  tool: string;
  input: unknown;
  inputSchema: Record<string, unknown>;
};

/**
 * Records what a run asks for, once per step: asked again, the same question is answered with the same id. Null: another
 * question stands under that step, or the run is over.
 */
export async function askApproval(db: Db, question: Question): Promise<string | null> {
  const { runId, step, tool, input, inputSchema } = question;
  await db`
    INSERT INTO approvals (id, run_id, step, principal_id, workflow, tool, input, input_schema)
    SELECT ${uuidv7()}, l.id, ${step}, l.principal_id, w.name, ${tool}, ${JSON.stringify(input)},
           ${JSON.stringify(inputSchema)}
    FROM run_live l JOIN workflows w ON w.id = l.workflow_id WHERE l.id = ${runId}
    ON CONFLICT (run_id, step) DO NOTHING`;
  const [asked] = await db<{ id: string; tool: string; input: string }[]>`
    SELECT id, tool, input FROM approvals WHERE run_id = ${runId} AND step = ${step}`;
  if (asked === undefined || asked.tool !== tool) return null;
  return isDeepStrictEqual(JSON.parse(asked.input), JSON.parse(JSON.stringify(input))) ? asked.id : null;
}
