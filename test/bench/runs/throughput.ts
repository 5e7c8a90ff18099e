import { setTimeout as wait } from 'node:timers/promises';
import type { BenchProcess } from '../bench-process.ts';
import type { Load } from '../load/client.ts';
import type { Figures } from '../medians.ts';
import type { BenchStores } from '../stores.ts';
import { readUsage } from '../usage.ts';

export type Throughput = {
  runsPerSecond: number;
  /** CPU ms a run; `all` is what bounds throughput on a machine with no core idle, and less noisy than that. */
  cpuMs: Record<string, number | null>;
  residentMb: Record<string, number | null>;
  walBytes: number;
  aofBytes: number | null;
} & Figures;

/** What happens in a stretch of `windowMs` while runs flow: how many end, and what each costs. */
export async function measureThroughput(
  stores: BenchStores,
  processes: readonly BenchProcess[],
  load: Load,
  { windowMs, signal }: { windowMs: number; signal: AbortSignal },
): Promise<Throughput> {
  const [before, from] = [await readUsage(stores, processes), await load.count()];
  await wait(windowMs, undefined, { signal });
  const [after, to] = [await readUsage(stores, processes), await load.count()];
  const runs = to.ended - from.ended;
  const each = (end: number | null | undefined, start: number | null | undefined) =>
    typeof end === 'number' && typeof start === 'number' && runs > 0 ? (end - start) / runs : null;
  const cpuMs = {
    ...Object.fromEntries(
      Object.keys(after.cpuMs).map((name) => [roleOf(name), each(after.cpuMs[name], before.cpuMs[name])]),
    ),
    'load generator': each(to.cpuMs, from.cpuMs),
  };
  return {
    runsPerSecond: (runs / (to.at - from.at)) * 1000,
    cpuMs: { ...cpuMs, all: Object.values(cpuMs).reduce<number>((sum, ms) => sum + (ms ?? 0), 0) },
    residentMb: Object.fromEntries(Object.entries(after.residentMb).map(([name, mb]) => [roleOf(name), mb])),
    walBytes: each(after.walBytes, before.walBytes) ?? Number.NaN,
    aofBytes: each(after.aofBytes, before.aofBytes),
  };
}

/** `bare-worker` is (a)'s worker: one row of the table for all contenders' workers. */
function roleOf(process: string): string {
  return process.replace(/^.*-(gateway|worker)$/, '$1');
}
