import Type, { type Static } from 'typebox';
import { FlowstateError } from './errors.ts';

/** BullMQ queues; both carry runs. Embedding work has its own so that bulk ingestion never delays workflows. */
export const queueNames = ['workflows', 'documents'] as const;
export type QueueName = (typeof queueNames)[number];

/** Throws `not_found` for any other name. */
export function toQueueName(text: string): QueueName {
  const queue = queueNames.find((name) => name === text);
  if (queue !== undefined) return queue;
  throw new FlowstateError(
    'not_found',
    `There is no queue ${JSON.stringify(text)}: there are ${queueNames.join(', ')}`,
  );
}

/** Every job's payload. Ids only: the ledger holds the data, the queue just delivers. */
export const RunJob = Type.Object({ runId: Type.String({ format: 'uuid' }) }, { additionalProperties: false });
export type RunJob = Static<typeof RunJob>;

/** First delivery of a run has the run's id as job id; BullMQ ignores a second `add` of it, so later ones differ. */
export function jobIdOf(runId: string, dispatch: number): string {
  return dispatch === 0 ? runId : `${runId}-${dispatch}`;
}

/** One delivery of a run: the job to add, and what decides which lane it takes. */
export type Delivery = {
  runId: string;
  queue: QueueName;
  /** 0 (first) to 9. */
  priority: number;
  /** Deliveries before this one. */
  dispatch: number;
  /** Id of its workflow version: only workers that carry it may get it. */
  workflowId: number;
  /** A worker died with it: it runs in the suspects' lane, one at a time. */
  suspect: boolean;
};

/** `common`: every worker; `suspects`: one at a time; `{bundle}`: workers that carry exactly the same versions. */
export type Lane = 'common' | 'suspects' | { bundle: string };

/** The BullMQ queue behind a lane. The common one carries the queue's own name. */
export function laneQueue(queue: QueueName, lane: Lane): string {
  if (lane === 'common') return queue;
  return lane === 'suspects' ? `${queue}.suspects` : `${queue}.${lane.bundle}`;
}
