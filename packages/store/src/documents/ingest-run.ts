import type { QueueName, Role } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { acceptRuns } from '../ledger/accept.ts';
import { v7 as uuidv7 } from 'uuid';

type IngestWorkflow = { id: number; queue: QueueName };

type IngestRun = {
  documentIds: string[];
  /** In whose name; whether they still may is decided when the run begins. */
  principalId: string;
  role: Role;
  priority: number;
  tag: string;
};

/** The newest version of what embeds documents; undefined while no worker has offered it. */
export async function findIngestWorkflow(db: Db): Promise<IngestWorkflow | undefined> {
  const [workflow] = await db<IngestWorkflow[]>`
    SELECT id, queue FROM workflows WHERE name = 'document-ingest' ORDER BY published_at DESC, id DESC LIMIT 1`;
  return workflow;
}

/** Accepts a run that embeds the documents, without a gateway: the feeder hands it over. Answers its id. */
export async function acceptIngestRun(
  db: Db,
  { id: workflowId, queue }: IngestWorkflow,
  { documentIds, tag, ...rest }: IngestRun,
): Promise<string> {
  const id = uuidv7();
  await acceptRuns(db, [
    {
      ...rest,
      id,
      workflowId,
      queue,
      tags: [tag],
      input: JSON.stringify({ documentIds }),
      webhookUrl: null,
      trace: null,
      delayMs: 0,
      owner: null,
    },
  ]);
  return id;
}
