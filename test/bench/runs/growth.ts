import { setTimeout as wait } from 'node:timers/promises';
import { createCleanup } from '../cleanup.ts';
import { startProduct } from '../contenders/product.ts';
import { startLoad } from '../load/client.ts';
import { settleStores, type BenchStores } from '../stores.ts';
import type { Plan } from './plan.ts';
import { seedFinishedRuns, seedQueuedRuns } from './seed.ts';
import { measureThroughput, type Throughput } from './throughput.ts';

export type Growth = { runs: number } & Throughput;

type Options = { stores: BenchStores; plan: Plan; signal: AbortSignal };

const workflow = 'bench-four-steps';

/** The flood again, with this many finished runs in the ledger already. */
export async function measureWithFinished(runs: number, { stores, plan, signal }: Options): Promise<Growth> {
  const cleanup = createCleanup();
  try {
    const product = await startProduct({ stores, cleanup, concurrency: plan.concurrency }, workflow);
    await seedFinishedRuns(product.database.sql, workflow, runs);
    await settleStores(stores);
    const load = await startLoad({ cleanup, signal }, product.target, plan.inFlight);
    await load.flood(plan.inFlight);
    await wait(plan.warmUpMs, undefined, { signal });
    const throughput = await measureThroughput(stores, product.processes, load, { ...plan, signal });
    await load.stop();
    const { accepted } = await load.count();
    await product.checkFinished(accepted);
    return { runs, ...throughput };
  } finally {
    await cleanup.run();
  }
}

/**
 * A worker comes up when this many runs wait in the ledger, none of which came by HTTP: how fast it works them off.
 * Measured while at least half of them still wait, if the machine is not too fast for that.
 */
export async function measureWithQueued(runs: number, { stores, plan, signal }: Options): Promise<Growth> {
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
    return { runs, ...(await measureThroughput(stores, [...product.processes, worker], load, { windowMs, signal })) };
  } finally {
    await cleanup.run();
  }
}
