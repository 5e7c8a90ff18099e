export { createRunConsumer, type DeliveryResult, type RunConsumer } from './run-consumer.ts';
export { createRunQueues, type Delivery, type JobCounts, type RunQueue, type RunQueues } from './run-queues.ts';
