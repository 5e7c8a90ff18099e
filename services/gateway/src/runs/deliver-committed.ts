import type { Delivery } from '@flowstate/contracts';
import type { RunQueues } from '@flowstate/queue';
import type { Logger } from '@flowstate/runtime';

/** Hands committed runs to the queue, in `round` where they are new. */
export type Deliver = (deliveries: Delivery[], round?: number) => Promise<void>;

/** After commit. What Redis does not take now the controller delivers. */
export function createDeliver(queues: Pick<RunQueues, 'deliver'>, log: Logger): Deliver {
  return async function deliver(deliveries, round) {
    if (deliveries.length === 0) return;
    try {
      await queues.deliver(deliveries, round);
    } catch (error) {
      const runIds = deliveries.map(({ runId }) => runId);
      log.warn({ err: (error as Error).message, runIds }, 'committed, but not delivered yet');
    }
  };
}
