import type { EvaluationBody, EvaluationSummary } from '@flowstate/contracts';
import { v7 as uuidv7 } from 'uuid';
import type { Db } from '../client.ts';
import { evaluationColumns, type StoredEvaluation } from './stored-evaluation.ts';

/** Keeps an evaluation; it never changes. */
export async function insertEvaluation(
  db: Db,
  { cases, ...e }: EvaluationBody & { summary: EvaluationSummary; principalId: string },
): Promise<StoredEvaluation> {
  const [row] = await db<StoredEvaluation[]>`
    INSERT INTO evaluations (id, workflow, version, dataset, dataset_hash, mind, models, summary, cases, principal_id)
    VALUES (${uuidv7()}, ${e.workflow}, ${e.version}, ${e.dataset}, ${e.datasetHash}, ${e.mind}, ${[...e.models]},
            ${JSON.stringify(e.summary)}::text::jsonb, ${JSON.stringify(cases)}, ${e.principalId})
    RETURNING ${evaluationColumns(db)}`;
  if (row === undefined) throw new Error('INSERT … RETURNING gave no row');
  return row;
}
