import { embeddersFrom, type Circuit } from '@flowstate/models';
import type { Workflow } from '@flowstate/workflow';
import type { WorkerConfig } from '../config.ts';
import { createCollectionReindex } from './collection-reindex.ts';
import { customerInsights } from './customer-insights.ts';
import { createDocumentIngest } from './document-ingest.ts';

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
    workflows: [customerInsights, createDocumentIngest(embedders), createCollectionReindex(embedders)] as Workflow[],
    circuit,
    embeddingModels: [embedders.first, ...embedders.others].map(({ model }) => model),
    close,
  };
}
