export { createRunConsumer, type DeliveryResult, type RunConsumer } from './run-consumer.ts';
export { createRunQueues, type Delivery, type JobCounts, type RunQueue, type RunQueues } from './run-queues.ts';
export { createRunPublisher, createRunSubscriber, type RunNews, type RunSubscriber } from './run-events.ts';
