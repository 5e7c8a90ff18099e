import Type, { type Static } from 'typebox';

/** BullMQ queues; both carry runs. Embedding work has its own so that bulk ingestion never delays workflows. */
export const queueNames = ['workflows', 'documents'] as const;
export type QueueName = (typeof queueNames)[number];

/** Every job's payload. Ids only: the ledger holds the data, the queue just delivers. */
export const RunJob = Type.Object({ runId: Type.String({ format: 'uuid' }) }, { additionalProperties: false });
export type RunJob = Static<typeof RunJob>;

/** First delivery of a run has the run's id as job id; BullMQ ignores a second `add` of it, so later ones differ. */
export function jobIdOf(runId: string, dispatch: number): string {
  return dispatch === 0 ? runId : `${runId}-${dispatch}`;
}
