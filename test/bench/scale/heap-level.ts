import type { Surroundings } from '../bench.ts';
import type { BenchStores } from '../stores.ts';
import { measureWorkers, type LevelPlan } from './workers-level.ts';

export type HeapLevel = {
  heapMb: number;
  concurrency: number;
  /** Null: the worker did not survive it. */
  runsPerSecond: number | null;
  workerMb: number | null;
  /** CPU ms of the worker a run: where the heap is too small, garbage collection is most of it. */
  workerCpuMs: number | null;
};

type Options = { stores: BenchStores; plan: LevelPlan } & Pick<Surroundings, 'signal' | 'log'>;

/** One worker under load whose heap may be so large. */
export async function measureHeap(
  heapMb: number,
  concurrency: number,
  { stores, plan, signal, log }: Options,
): Promise<HeapLevel> {
  try {
    const env = { NODE_OPTIONS: `--max-old-space-size=${heapMb}` };
    // Its load ends when nothing ends any more: a worker that died is told from a slow one by that.
    const level = await measureWorkers(1, { stores, plan: { ...plan, concurrency }, signal, env });
    return {
      heapMb,
      concurrency,
      runsPerSecond: level.runsPerSecond,
      workerMb: level.workerMb,
      workerCpuMs: level.cpuMs.worker,
    };
  } catch (error) {
    if (signal.aborted) throw error;
    log(`a heap of ${heapMb} MiB at ${concurrency} places: ${(error as Error).message.split('\n')[0] ?? ''}`);
    return { heapMb, concurrency, runsPerSecond: null, workerMb: null, workerCpuMs: null };
  }
}
