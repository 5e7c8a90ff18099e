import { Queue } from 'bullmq';
import postgres from 'postgres';
import { v7 as uuidv7 } from 'uuid';
import { createGateway } from './gateway.ts';

const sql = postgres(process.env['DATABASE_URL'] ?? '', { max: 16 });
const queue = new Queue('runs', {
  connection: { url: process.env['REDIS_URL'] ?? '' },
  defaultJobOptions: {
    removeOnComplete: { age: 24 * 3600, count: 1000 },
    removeOnFail: { age: 7 * 24 * 3600, count: 5000 },
  },
});

await createGateway(
  async (input) => {
    const id = uuidv7();
    await sql`INSERT INTO written_runs (id, input) VALUES (${id}, ${JSON.stringify(input)})`;
    // The input travels with the job, which saves the worker a SELECT.
    await queue.add('run', { id, input }, { jobId: id });
    return id;
  },
  async () => {
    await queue.close();
    await sql.end();
  },
);
