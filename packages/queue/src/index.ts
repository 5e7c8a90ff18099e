export { announceEnds } from './announce-ends.ts';
export { mastersOf, openRedis } from './open-redis.ts';
export { hearPolicyNews } from './policy-news.ts';
export { createRunConsumer, type DeliveryResult } from './run-consumer.ts';
export { commonLane, createRunQueues, rounds, type Lanes, type RunQueues } from './run-queues.ts';
export {
  createRunPublisher,
  createRunSubscriber,
  type PublishNews,
  type RunNews,
  type RunSubscriber,
} from './run-events.ts';
