import { Queue } from 'bullmq';
import { createGateway } from './gateway.ts';

const queue = new Queue('runs', {
  connection: { url: process.env['REDIS_URL'] ?? '' },
  defaultJobOptions: {
    removeOnComplete: { age: 24 * 3600, count: 1000 },
    removeOnFail: { age: 7 * 24 * 3600, count: 5000 },
  },
});

await createGateway(
  async (input) => (await queue.add('run', { input })).id ?? '',
  () => queue.close(),
);
