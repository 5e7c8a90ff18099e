import { queueNames, type PolicyChanges, type QueueName, type QueuePolicy } from '@flowstate/contracts';
import { defaultPolicies, workersShare, type ScalingPolicy } from '@flowstate/scaling';

export type Policies = Readonly<Record<QueueName, QueuePolicy>>;

/** The repository's policies with what the configuration changes. */
export function policiesWith(changes: PolicyChanges): Policies {
  return Object.fromEntries(
    queueNames.map((queue) => [queue, { ...defaultPolicies[queue], ...changes[queue] }]),
  ) as Policies;
}

type Found = {
  /** Connections that Postgres allows, and how many of them one worker takes. */
  connectionsAllowed: number;
  connectionsPerWorker: number;
  /** Places of one live worker; null while none lives. */
  concurrency: number | null;
  /** Runs a second that the provider of models lets through; null: no bound, or nobody knows. */
  providerRunsPerSecond: number | null;
};

/** A policy as the decision takes it, with what was found out on the spot in place of what it leaves open. */
export function effectivePolicy(
  policy: QueuePolicy,
  { connectionsAllowed, connectionsPerWorker, concurrency, providerRunsPerSecond: measured }: Found,
): ScalingPolicy {
  const { connectionBudget, ...rest } = policy;
  return {
    ...rest,
    concurrency: concurrency ?? policy.concurrency,
    providerRunsPerSecond: lower(policy.providerRunsPerSecond, measured),
    connections: {
      budget: connectionBudget ?? Math.floor(connectionsAllowed * workersShare),
      perWorker: connectionsPerWorker,
    },
  };
}

/** Null bounds nothing. */
function lower(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : Math.min(one, other);
}
