import type { EvaluatedCase } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { evaluationColumns, type StoredEvaluation } from './stored-evaluation.ts';

/** One evaluation with its cases; null when there is none. */
export async function readEvaluation(
  db: Db,
  id: string,
): Promise<(StoredEvaluation & { cases: EvaluatedCase[] }) | null> {
  const [row] = await db<(StoredEvaluation & { cases: string })[]>`
    SELECT ${evaluationColumns(db)}, cases FROM evaluations WHERE id = ${id}`;
  return row === undefined ? null : { ...row, cases: JSON.parse(row.cases) as EvaluatedCase[] };
}
