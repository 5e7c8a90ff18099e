import { setTimeout as wait } from 'node:timers/promises';
import { createCleanup } from '../cleanup.ts';
import { startProduct } from '../contenders/product.ts';
import type { Figures } from '../medians.ts';
import { seedQueuedRuns } from '../runs/seed.ts';
import { settleStores, type BenchStores } from '../stores.ts';
import { readUsage } from '../usage.ts';
import { readFootprint } from './footprint.ts';

export type WaitingLevel = {
  waiting: number;
  /** Of each waiting run. */
  tableBytes: number;
  redisBytes: number;
  /** Resident MiB that each 1,000 waiting runs add. */
  gatewayMbPerThousand: number;
  controllerMbPerThousand: number;
  workerMb: number;
  /** CPU of the controller while they only wait, in cores. */
  controllerCores: number;
  /** How fast one worker works them off. */
  runsPerSecond: number;
} & Figures;

type Options = { stores: BenchStores; concurrency: number; windowMs: number; signal: AbortSignal };

/** So many runs wait, none of which came by HTTP; then a worker comes. */
export async function measureWaiting(
  waiting: number,
  { stores, concurrency, windowMs, signal }: Options,
): Promise<WaitingLevel> {
  const cleanup = createCleanup();
  try {
    await settleStores(stores);
    const product = await startProduct({ stores, cleanup, concurrency }, 'bench-four-steps', { worker: false });
    // It publishes the workflow, and leaves.
    const first = createCleanup();
    await product.startWorker(first);
    await first.run();
    await settleStores(stores);
    const [before, idle] = [await readFootprint(stores, product), await readUsage(stores, product.processes)];
    await seedQueuedRuns(product.database.sql, 'bench-four-steps', waiting);
    // The controller counts them and fills the queue's window meanwhile.
    await wait(windowMs, undefined, { signal });
    const [after, full] = [await readFootprint(stores, product), await readUsage(stores, product.processes)];
    await wait(windowMs, undefined, { signal });
    const still = await readUsage(stores, product.processes);
    const grown = (name: string) =>
      (((full.residentMb[name] ?? Number.NaN) - (idle.residentMb[name] ?? Number.NaN)) / waiting) * 1000;

    const worker = await product.startWorker(cleanup);
    const ended = async () => {
      const [row] = await product.database.sql<{ runs: number }[]>`SELECT count(*)::int AS runs FROM run_ends`;
      return row?.runs ?? 0;
    };
    while ((await ended()) === 0) await wait(20, undefined, { signal });
    const [from, begun] = [await ended(), performance.now()];
    let [to, at] = [from, begun];
    for (const until = begun + windowMs; at < until && to < waiting * 0.95;) {
      await wait(Math.min(250, windowMs), undefined, { signal });
      [to, at] = [await ended(), performance.now()];
    }
    const busy = await readUsage(stores, [worker]);
    return {
      waiting,
      tableBytes: (after.tableBytes - before.tableBytes) / waiting,
      redisBytes: (after.redisBytes - before.redisBytes) / waiting,
      gatewayMbPerThousand: grown('gateway'),
      controllerMbPerThousand: grown('controller'),
      workerMb: busy.residentMb['worker'] ?? Number.NaN,
      controllerCores:
        ((still.cpuMs['controller'] ?? Number.NaN) - (full.cpuMs['controller'] ?? Number.NaN)) / windowMs,
      runsPerSecond: ((to - from) / (at - begun)) * 1000,
    };
  } finally {
    await cleanup.run();
  }
}
