import type { Db } from '../client.ts';

/**
 * Does the run go on, neither over nor asked to stop? It does until this transaction ends: a cancel waits for that, and
 * then finds what the run has started meanwhile as its child.
 */
export async function holdParent(tx: Db, runId: string): Promise<boolean> {
  const rows = await tx`SELECT FROM run_live WHERE id = ${runId} AND NOT cancel FOR SHARE`;
  return rows.length === 1;
}
