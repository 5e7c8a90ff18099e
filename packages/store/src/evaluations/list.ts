import type { Db } from '../client.ts';
import { evaluationColumns, type StoredEvaluation } from './stored-evaluation.ts';

type Filter = {
  workflow?: string | undefined;
  datasetHash?: string | undefined;
  /** One that this language model answered in. */
  model?: string | undefined;
  principalId?: string | undefined;
  before?: string | undefined;
  limit: number;
};

/** Evaluations without their cases, newest first. */
export async function listEvaluations(db: Db, filter: Filter): Promise<StoredEvaluation[]> {
  const { workflow, datasetHash, model, principalId, before, limit } = filter;
  return db<StoredEvaluation[]>`
    SELECT ${evaluationColumns(db)} FROM evaluations WHERE true
      ${workflow === undefined ? db`` : db`AND workflow = ${workflow}`}
      ${datasetHash === undefined ? db`` : db`AND dataset_hash = ${datasetHash}`}
      ${model === undefined ? db`` : db`AND ${model} = ANY(models)`}
      ${principalId === undefined ? db`` : db`AND principal_id = ${principalId}`}
      ${before === undefined ? db`` : db`AND id < ${before}`}
    ORDER BY id DESC LIMIT ${limit}`;
}
