import { embeddersFrom, type Circuit } from '@flowstate/models';
import type { Workflow } from '@flowstate/workflow';
import type { WorkerConfig } from '../config.ts';
import { customerInsights } from './customer-insights.ts';
import { createDocumentIngest } from './document-ingest.ts';

/** The workflows every stock worker carries. */
export function shippedWorkflows(config: WorkerConfig): {
  workflows: Workflow[];
  /** The way to the embeddings endpoint; null without one. */
  circuit: Circuit | null;
  close: () => Promise<void>;
} {
  const { first, circuit, close } = embeddersFrom(config);
  return { workflows: [customerInsights, createDocumentIngest(first)] as Workflow[], circuit, close };
}
