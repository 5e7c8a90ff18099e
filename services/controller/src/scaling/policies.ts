import { queueNames, type PolicyChanges, type QueueName, type QueuePolicy } from '@flowstate/contracts';
import { connectionsPerWorker, defaultPolicies, workersShare, type ScalingPolicy } from '@flowstate/scaling';

export type Policies = Readonly<Record<QueueName, QueuePolicy>>;

/** The repository's policies with what the configuration changes. */
export function policiesWith(changes: PolicyChanges): Policies {
  return Object.fromEntries(
    queueNames.map((queue) => [queue, { ...defaultPolicies[queue], ...changes[queue] }]),
  ) as Policies;
}

type Found = {
  /** Connections that Postgres allows. */
  connectionsAllowed: number;
  /** Places of one live worker; null while none lives. */
  concurrency: number | null;
};

/** A policy as the decision takes it, with what was found out on the spot in place of what it leaves open. */
export function effectivePolicy(policy: QueuePolicy, { connectionsAllowed, concurrency }: Found): ScalingPolicy {
  const { connectionBudget, ...rest } = policy;
  return {
    ...rest,
    concurrency: concurrency ?? policy.concurrency,
    connections: {
      budget: connectionBudget ?? Math.floor(connectionsAllowed * workersShare),
      perWorker: connectionsPerWorker,
    },
  };
}
