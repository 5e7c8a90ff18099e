export {
  desiredWorkers,
  scalingReasons,
  type Decision,
  type Demand,
  type ScalingOverride,
  type ScalingPolicy,
  type ScalingReason,
} from './desired-workers.ts';
export { connectionsPerWorker, defaultPolicies, workersShare, type QueuePolicy } from './queue-policies.ts';
