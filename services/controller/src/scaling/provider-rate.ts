import { queueNames, type QueueName } from '@flowstate/contracts';
import type { ModelDemand } from '@flowstate/store';

/** What the provider of language models takes a minute; undefined: any number. */
export type ProviderLimits = { requests: number | undefined; tokens: number | undefined };

export type ProviderRate = {
  /** Takes in what the last minute's runs asked of models, and how many gave their place back in it. */
  observe(demand: ReadonlyMap<QueueName, ModelDemand>, stays: (queue: QueueName) => number): void;
  /** Runs a second that the provider lets through; null: no bound, or nobody knows yet. */
  of(queue: QueueName): number | null;
};

/**
 * How many runs the provider's limits let through, from what runs ask of models on average. A run that waits for its
 * turn gives its place back and takes one again, and counts twice in both: per stay the figures stay true. Queues share
 * the limits as they use them. The last figure holds until there is a new one, so that a line which builds up while no
 * worker lives does not start more of them than the provider serves.
 */
export function createProviderRate({ requests = Infinity, tokens = Infinity }: ProviderLimits): ProviderRate {
  const known = new Map<QueueName, number>();
  return {
    observe(demand, stays) {
      const all = [...demand.values()];
      const allCalls = all.reduce((sum, { calls }) => sum + calls, 0);
      const allTokens = all.reduce((sum, queue) => sum + queue.tokens, 0);
      for (const queue of queueNames) {
        const ended = stays(queue);
        if (ended === 0) continue;
        // All of the limit, were every call one of this queue: its share of calls over calls per stay.
        const byCalls = allCalls === 0 ? Infinity : (requests / 60) * (ended / allCalls);
        const byTokens = allTokens === 0 ? Infinity : (tokens / 60) * (ended / allTokens);
        const rate = Math.min(byCalls, byTokens);
        if (demand.has(queue) && rate > 0 && rate < Infinity) known.set(queue, rate);
        else known.delete(queue);
      }
    },
    of: (queue) => known.get(queue) ?? null,
  };
}
