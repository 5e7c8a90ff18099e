import { queueNames, type QueueName } from '@flowstate/contracts';
import type { RunQueues } from '@flowstate/queue';
import { createServiceTimes, desiredWorkers, type ServiceTimes } from '@flowstate/scaling';
import {
  arrivalsPerSecond,
  connectionsAllowed,
  liveWorkers,
  modelDemand,
  publishScalingState,
  readScalingStates,
  scalingOverrides,
  type Sql,
} from '@flowstate/store';
import type { Census } from '../census.ts';
import { queueLoad } from '../queue-metrics.ts';
import { effectivePolicy, type Policies } from './policies.ts';
import { createProviderRate, type ProviderLimits } from './provider-rate.ts';

type Options = {
  sql: Sql;
  queues: Pick<RunQueues, 'counts'>;
  census: Pick<Census, 'latest'>;
  policies: Policies;
  provider: ProviderLimits;
  /** Of Postgres, that one worker takes. */
  connectionsPerWorker: number;
};

/**
 * Decides how many workers each queue should have and publishes it: the leading controller's work, so that all answer
 * the same. What it cannot find out it does not publish, and what was published goes stale: an autoscaler gets an error
 * then and never a zero that nobody counted.
 */
export function createScalingDecider({
  sql,
  queues,
  census,
  policies,
  provider,
  ...taken
}: Options): () => Promise<void> {
  const providerRate = createProviderRate(provider);
  const isLimited = provider.requests !== undefined || provider.tokens !== undefined;
  let times: ServiceTimes<QueueName> | undefined;

  return async function decide(): Promise<void> {
    times ??= createServiceTimes(queueNames, await publishedTimes(sql));
    const [workers, arrivals, overrides, allowed] = await Promise.all([
      liveWorkers(sql),
      arrivalsPerSecond(sql),
      scalingOverrides(sql),
      connectionsAllowed(sql),
    ]);
    times.observe(workers);
    if (isLimited) providerRate.observe(await modelDemand(sql), times.stays);
    const places = workers.reduce((sum, { concurrency }) => sum + concurrency, 0);
    const concurrency = workers.length === 0 ? null : Math.max(1, Math.round(places / workers.length));
    for (const queue of queueNames) {
      const load = await queueLoad(queues, census, queue);
      if (load === undefined) continue;
      const { active, waiting, paused, oldestSeconds } = load;
      const demand = {
        active,
        waiting,
        paused,
        arrivalPerSecond: arrivals.get(queue) ?? 0,
        serviceSeconds: times.of(queue),
      };
      const providerRunsPerSecond = providerRate.of(queue);
      const found = { connectionsAllowed: allowed, ...taken, concurrency, providerRunsPerSecond };
      const policy = effectivePolicy(policies[queue], found);
      const override = overrides.get(queue) ?? null;
      const { workers: desired, ...why } = desiredWorkers(demand, policy, override);
      await publishScalingState(sql, {
        queue,
        load: active + waiting,
        ...demand,
        oldestAgeSeconds: oldestSeconds,
        concurrency: policy.concurrency,
        liveWorkers: workers.length,
        desired,
        ...why,
        policy: policies[queue],
        providerRunsPerSecond: policy.providerRunsPerSecond,
        connections: policy.connections ?? { budget: 0, perWorker: 0 },
        override,
      });
    }
  };
}

async function publishedTimes(sql: Sql): Promise<Map<QueueName, number | null>> {
  return new Map([...(await readScalingStates(sql))].map(([queue, { state }]) => [queue, state.serviceSeconds]));
}
