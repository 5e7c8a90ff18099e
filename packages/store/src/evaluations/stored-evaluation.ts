import type { Evaluation } from '@flowstate/contracts';
import type { Db } from '../client.ts';

export type StoredEvaluation = Omit<Evaluation, 'createdAt'> & { createdAt: Date };

export function evaluationColumns(db: Db) {
  return db`id, workflow, version, dataset, dataset_hash AS "datasetHash", mind, models, summary,
            principal_id AS "principalId", created_at AS "createdAt"`;
}
