import { FlowstateError, type QueueName, type ScalingState } from '@flowstate/contracts';
import type { RunQueues } from '@flowstate/queue';
import { readScalingStates, type Sql } from '@flowstate/store';

type Sources = { sql: Sql; queues: Pick<RunQueues, 'ready'> };

/**
 * What the leading controller decided in the last seconds. Throws `unavailable` when nobody can know it: an autoscaler
 * must not take that for zero.
 */
export async function readScaling({ sql, queues }: Sources, queue: QueueName): Promise<ScalingState> {
  // Known here at once; the decision goes stale only seconds later.
  if (!queues.ready()) throw new FlowstateError('unavailable', 'Redis is away: nobody can say what is in the queues');
  const stored = (await readScalingStates(sql)).get(queue);
  if (stored?.fresh !== true) throw new FlowstateError('unavailable', 'No controller has decided in the last seconds');
  return stored.state;
}
