import { embedderFrom } from '@flowstate/models';
import type { Workflow } from '@flowstate/workflow';
import type { WorkerConfig } from '../config.ts';
import { customerInsights } from './customer-insights.ts';
import { createDocumentIngest } from './document-ingest.ts';

/** The workflows every stock worker carries. */
export function shippedWorkflows(config: WorkerConfig): { workflows: Workflow[]; close: () => Promise<void> } {
  const embedder = embedderFrom(config);
  return { workflows: [customerInsights, createDocumentIngest(embedder)] as Workflow[], close: () => embedder.close() };
}
