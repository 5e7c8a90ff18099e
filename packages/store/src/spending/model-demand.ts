import type { QueueName } from '@flowstate/contracts';
import type { Db } from '../client.ts';

/** Calls of language models over the last minute, and the tokens they reserved, by the queue of their runs. */
export type ModelDemand = { calls: number; tokens: number };

export async function modelDemand(db: Db): Promise<Map<QueueName, ModelDemand>> {
  const rows = await db<(ModelDemand & { queue: QueueName })[]>`
    SELECT w.queue, count(*)::int AS calls, sum(c.reserved_tokens) AS tokens FROM model_calls c
    JOIN (SELECT DISTINCT name, queue FROM workflows) w ON w.name = c.workflow
    WHERE c.at > now() - interval '1 minute' GROUP BY w.queue`;
  return new Map(rows.map(({ queue, ...demand }) => [queue, demand]));
}
