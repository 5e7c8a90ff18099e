import { setTimeout as wait } from 'node:timers/promises';
import { createCleanup } from '../cleanup.ts';
import { startProduct } from '../contenders/product.ts';
import { startLoad } from '../load/client.ts';
import { settleStores, type BenchStores } from '../stores.ts';
import type { Plan } from './plan.ts';
import { seedFinishedRuns, seedQueuedRuns } from './seed.ts';
import { measureThroughput, type Throughput } from './throughput.ts';

type Options = { stores: BenchStores; plan: Plan; signal: AbortSignal };

const workflow = 'bench-four-steps';

/** How a level is called in the table. */
export const levelNames = {
  finished: (runs: number) => `${runs} finished runs in the ledger`,
  queued: (runs: number) => `${runs} runs queued, worked off`,
};

/** The product at growing sizes of its ledger. */
export function growthLevels({ finished, queued }: Plan) {
  return [
    ...finished.map((runs) => ({
      name: levelNames.finished(runs),
      measure: (options: Options) => measureWithFinished(runs, options),
    })),
    ...queued.map((runs) => ({
      name: levelNames.queued(runs),
      measure: (options: Options) => measureWithQueued(runs, options),
    })),
  ];
}

/** The flood again, with this many finished runs in the ledger already. */
async function measureWithFinished(runs: number, { stores, plan, signal }: Options): Promise<Throughput> {
  const cleanup = createCleanup();
  try {
    const product = await startProduct({ stores, cleanup, concurrency: plan.concurrency }, workflow);
    await seedFinishedRuns(product.database.sql, workflow, runs);
    // They came at once, and so would autovacuum's work on them, in the middle of what is measured.
    await product.database.sql`VACUUM (ANALYZE)`;
    await settleStores(stores);
    const load = await startLoad({ cleanup, signal }, product.target, plan.inFlight);
    await load.flood(plan.inFlight);
    await wait(plan.warmUpMs, undefined, { signal });
    const throughput = await measureThroughput(stores, product.processes, load, { ...plan, signal });
    await load.stop();
    const { accepted } = await load.count();
    await product.checkFinished(accepted);
    return throughput;
  } finally {
    await cleanup.run();
  }
}

/**
 * A worker comes up when this many runs wait in the ledger, none of which came by HTTP: how fast it works them off.
 * Measured while at least half of them still wait, if the machine is not too fast for that.
 */
async function measureWithQueued(runs: number, { stores, plan, signal }: Options): Promise<Throughput> {
  const cleanup = createCleanup();
  try {
    const product = await startProduct({ stores, cleanup, concurrency: plan.concurrency }, workflow, { worker: false });
    // The workflow must be known to be queued: its worker came, published it and went.
    const first = createCleanup();
    await product.startWorker(first);
    await first.run();
    await seedQueuedRuns(product.database.sql, workflow, runs);
    await settleStores(stores);
    const load = await startLoad({ cleanup, signal }, product.target, 1);
    const worker = await product.startWorker(cleanup);
    const patience = AbortSignal.any([signal, AbortSignal.timeout(120_000)]);
    while ((await load.count()).ended < runs / 10) await wait(20, undefined, { signal: patience });
    const windowMs = Math.min(plan.windowMs, runs / 8);
    return await measureThroughput(stores, [...product.processes, worker], load, { windowMs, signal });
  } finally {
    await cleanup.run();
  }
}
