import { createTestDatabase, createTestRedis } from '@flowstate/test';
import { startProcess } from '../bench-process.ts';
import type { Contender } from './contender.ts';
import { requestBody } from './payload.ts';

const schema = `
  CREATE TABLE written_runs (
    id uuid PRIMARY KEY,
    state text NOT NULL DEFAULT 'queued',
    input text NOT NULL,
    output text,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
  );
  CREATE TABLE written_steps (
    run_id uuid NOT NULL,
    step int NOT NULL,
    name text NOT NULL,
    output text NOT NULL,
    finished_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, step)
  );`;

/** (b) The ledger a person would write: a row per run before the job, a row per step, an UPDATE at the end. */
export const handWritten: Contender = {
  name: 'hand-written',
  title: '(b) hand-written ledger',
  async start({ stores, cleanup, concurrency, profileDir }) {
    const database = await createTestDatabase(cleanup, stores.databaseUrl);
    await database.sql.unsafe(schema);
    const { url: redisUrl } = await createTestRedis(cleanup, stores);
    const env = { DATABASE_URL: database.url, REDIS_URL: redisUrl, CONCURRENCY: `${concurrency}` };
    const worker = await startProcess(cleanup, {
      name: 'hand-written-worker',
      file: 'test/bench/contenders/hand-written-worker.ts',
      ready: '/health',
      env,
      profileDir,
    });
    const gateway = await startProcess(cleanup, {
      name: 'hand-written-gateway',
      file: 'test/bench/contenders/hand-written-gateway.ts',
      ready: '/health',
      env,
      profileDir,
    });
    return {
      target: { url: gateway.url, path: '/runs', headers: {}, body: requestBody, redisUrl, events: 'bull:runs:events' },
      processes: [gateway, worker],
      databaseUrl: database.url,
      async checkFinished(accepted) {
        const [row] = await database.sql<{ finished: number }[]>`
          SELECT count(*) AS finished FROM written_runs WHERE state = 'completed'`;
        if (row?.finished !== accepted)
          throw new Error(`${accepted} runs were accepted, ${row?.finished} are finished`);
      },
    };
  },
};
