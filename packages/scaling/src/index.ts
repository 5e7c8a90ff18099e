export { deletionCost, markEverySeconds } from './deletion-cost.ts';
export { desiredGateways, gatewayPolicy } from './desired-gateways.ts';
export {
  desiredWorkers,
  scalingReasons,
  type Demand,
  type ScalingOverride,
  type ScalingPolicy,
} from './desired-workers.ts';
export {
  connectionsPerController,
  connectionsPerGateway,
  connectionsPerPooledWorker,
  connectionsPerWorker,
  defaultPolicies,
  workersShare,
  type QueuePolicy,
} from './queue-policies.ts';
export { createServiceTimes, type ServiceTimes } from './service-times.ts';
export { poissonArrivals, readTrace, type Arrival, type Burst } from './simulate/arrivals.ts';
export { byCpu, byDesiredWorkers, byWaitLength, ourBehaviour, type Autoscaler } from './simulate/autoscalers.ts';
export { createHpa, hpaSyncSeconds, replicasForAverageValue, type Behaviour } from './simulate/hpa.ts';
export { seeded } from './simulate/random.ts';
export { simulate, type Look, type Outcome, type Sample } from './simulate/simulate.ts';
