import { setTimeout as wait } from 'node:timers/promises';
import type { BenchProcess } from '../bench-process.ts';
import { createCleanup } from '../cleanup.ts';
import { startProduct } from '../contenders/product.ts';
import { startLoad } from '../load/client.ts';
import type { Figures } from '../medians.ts';
import { settleStores, type BenchStores } from '../stores.ts';
import { readUsage } from '../usage.ts';
import { readConnections, readFootprint } from './footprint.ts';

export type WorkersLevel = {
  workers: number;
  runsPerSecond: number;
  /** What one whole core of each would do: a second of CPU over what a run takes of it. */
  perWorkerCore: number;
  perGatewayCore: number;
  /** CPU ms a run. */
  cpuMs: { gateway: number; worker: number; controller: number; postgres: number; redis: number };
  /** Resident MiB of the largest worker and of the gateway. */
  workerMb: number;
  gatewayMb: number;
  /** Postgres connections, of one worker on average. */
  connections: { gateway: number; worker: number; controller: number };
  /** A finished run, in tables with their indexes. */
  tableBytes: number;
  walBytes: number;
} & Figures;

export type LevelPlan = { concurrency: number; inFlight: number; windowMs: number; warmUpMs: number };

type Options = { stores: BenchStores; plan: LevelPlan; signal: AbortSignal; env?: Record<string, string> };

/** So many worker processes with as many runs under way as keep them busy. */
export async function measureWorkers(
  count: number,
  { stores, plan, signal, env = {} }: Options,
): Promise<WorkersLevel> {
  const cleanup = createCleanup();
  try {
    await settleStores(stores);
    const stage = { stores, cleanup, concurrency: plan.concurrency };
    const product = await startProduct(stage, 'bench-four-steps', { worker: false });
    const workers: BenchProcess[] = [];
    for (let n = 1; n <= count; n++) {
      workers.push({ ...(await product.startWorker(cleanup, env)), name: `worker-${n}` });
    }
    const load = await startLoad({ cleanup, signal }, product.target, plan.inFlight);
    const before = await readFootprint(stores, product);
    await load.flood(plan.inFlight);
    await wait(plan.warmUpMs, undefined, { signal });
    const all = [...product.processes, ...workers];
    const [from, started] = [await readUsage(stores, all), await load.count()];
    await wait(plan.windowMs, undefined, { signal });
    const [to, ended] = [await readUsage(stores, all), await load.count()];
    const connections = await readConnections(product);
    await load.stop();
    const { accepted } = await load.count();
    await product.checkFinished(accepted);
    const after = await readFootprint(stores, product);
    const runs = ended.ended - started.ended;
    const ms = (...names: string[]) =>
      names.reduce((sum, name) => sum + ((to.cpuMs[name] ?? Number.NaN) - (from.cpuMs[name] ?? Number.NaN)), 0) / runs;
    const names = workers.map(({ name }) => name);
    const cpuMs = {
      gateway: ms('gateway'),
      worker: ms(...names),
      controller: ms('controller'),
      postgres: ms('postgres'),
      redis: ms('redis'),
    };
    return {
      workers: count,
      runsPerSecond: (runs / (ended.at - started.at)) * 1000,
      perWorkerCore: 1000 / cpuMs.worker,
      perGatewayCore: 1000 / cpuMs.gateway,
      cpuMs,
      workerMb: Math.max(...names.map((name) => to.residentMb[name] ?? Number.NaN)),
      gatewayMb: to.residentMb['gateway'] ?? Number.NaN,
      connections: {
        gateway: connections['gateway'] ?? 0,
        worker: (connections['worker'] ?? 0) / count,
        controller: connections['controller'] ?? 0,
      },
      tableBytes: (after.tableBytes - before.tableBytes) / accepted,
      walBytes: (to.walBytes - from.walBytes) / runs,
    };
  } finally {
    await cleanup.run();
  }
}
