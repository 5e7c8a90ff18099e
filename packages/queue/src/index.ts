export { announceEnds } from './announce-ends.ts';
export { mastersOf, openRedis } from './open-redis.ts';
export { hearPolicyNews } from './policy-news.ts';
export { createRunConsumer, type DeliveryResult, type RunConsumer } from './run-consumer.ts';
export {
  commonLane,
  createRunQueues,
  rounds,
  type JobCounts,
  type Lanes,
  type RunQueue,
  type RunQueues,
} from './run-queues.ts';
export {
  createRunPublisher,
  createRunSubscriber,
  type PublishNews,
  type RunNews,
  type RunSubscriber,
} from './run-events.ts';
