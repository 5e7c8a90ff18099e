import { embeddersFrom, type Circuit } from '@flowstate/models';
import type { Workflow } from '@flowstate/workflow';
import type { WorkerConfig } from '../config.ts';
import { createCollectionReindex } from './collection-reindex.ts';
import { customerInsights, customerInsightsV1 } from './customer-insights.ts';
import { createDocumentIngest } from './document-ingest.ts';
import { knowledgeAnswer } from './knowledge-answer.ts';
import { nextBestAction } from './next-best-action.ts';
import { createTicketTriage } from './ticket-triage.ts';

/** The workflows every stock worker carries. */
export function shippedWorkflows(config: WorkerConfig): {
  workflows: Workflow[];
  /** The way to the embeddings endpoint; null without one. */
  circuit: Circuit | null;
  /** Models that embed here. */
  embeddingModels: string[];
  close: () => Promise<void>;
} {
  const embedders = embeddersFrom(config);
  const { circuit, close } = embedders;
  return {
    // Of several versions of one workflow the last is the one new runs get.
    workflows: [
      customerInsightsV1,
      customerInsights,
      nextBestAction,
      knowledgeAnswer,
      createTicketTriage(embedders),
      createDocumentIngest(embedders),
      createCollectionReindex(embedders),
    ] as Workflow[],
    circuit,
    embeddingModels: [embedders.first, ...embedders.others].map(({ model }) => model),
    close,
  };
}
