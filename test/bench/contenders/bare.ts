import { createTestDatabase, createTestRedis } from '@flowstate/test';
import { startProcess } from '../bench-process.ts';
import type { Contender } from './contender.ts';
import { requestBody } from './payload.ts';

/** (a) Fastify and BullMQ alone: a run is a job, its result the job's return value. What Redis forgets is gone. */
export const bare: Contender = {
  name: 'bare',
  title: '(a) bare Fastify + BullMQ',
  async start({ stores, cleanup, concurrency, profileDir }) {
    // Only so that all have the same stores about them: it writes nothing there.
    const database = await createTestDatabase(cleanup, stores.databaseUrl);
    const { url: redisUrl } = await createTestRedis(cleanup, stores);
    const env = { REDIS_URL: redisUrl, CONCURRENCY: `${concurrency}` };
    const worker = await startProcess(cleanup, {
      name: 'bare-worker',
      file: 'test/bench/contenders/bare-worker.ts',
      ready: '/health',
      env,
      profileDir,
    });
    const gateway = await startProcess(cleanup, {
      name: 'bare-gateway',
      file: 'test/bench/contenders/bare-gateway.ts',
      ready: '/health',
      env,
      profileDir,
    });
    return {
      target: { url: gateway.url, path: '/runs', headers: {}, body: requestBody, redisUrl, events: 'bull:runs:events' },
      processes: [gateway, worker],
      databaseUrl: database.url,
      checkFinished: async () => {}, // it keeps no record
    };
  },
};
