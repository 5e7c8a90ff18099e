import type { Db } from '../client.ts';

/** What a person let a step do, and what became of it. */
export type Permit = { id: string; input: unknown; used: boolean; outcome: unknown };

/** What was approved for that step of that run; null: nothing was. */
export async function findPermit(db: Db, runId: string, step: string, tool: string): Promise<Permit | null> {
  const [row] = await db<{ id: string; input: string; used: boolean; outcome: string | null }[]>`
    SELECT id, coalesce(decided_input, input) AS input, used_at IS NOT NULL AS used, outcome FROM approvals
    WHERE run_id = ${runId} AND step = ${step} AND tool = ${tool} AND decision IN ('approve', 'edit')`;
  if (row === undefined) return null;
  const { input, outcome, ...rest } = row;
  return { ...rest, input: JSON.parse(input), outcome: outcome === null ? null : JSON.parse(outcome) };
}

/** Takes an approval for its one use; false: somebody has. */
export async function usePermit(db: Db, id: string): Promise<boolean> {
  const { count } = await db`UPDATE approvals SET used_at = now() WHERE id = ${id} AND used_at IS NULL`;
  return count === 1;
}

/** A person has found out that it did not take place: what was approved for that step may be done after all. */
export async function renewPermit(db: Db, runId: string, step: string): Promise<void> {
  await db`
    UPDATE approvals SET used_at = NULL, outcome = NULL
    WHERE run_id = ${runId} AND step = ${step} AND used_at IS NOT NULL
      AND coalesce(outcome::json ->> 'outcome', 'unknown') = 'unknown'`;
}

/** How that use ended, for whoever asks again. */
export async function recordOutcome(db: Db, id: string, outcome: unknown): Promise<void> {
  await db`UPDATE approvals SET outcome = ${JSON.stringify(outcome)} WHERE id = ${id}`;
}
