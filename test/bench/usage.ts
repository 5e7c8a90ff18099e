import { readdirSync, readFileSync } from 'node:fs';
import type { BenchProcess } from './bench-process.ts';
import type { BenchStores } from './stores.ts';

/** Counters since the start of each process or server; two of them give what a stretch of time cost. */
export type Usage = {
  /** CPU time in ms; null where the system does not tell. */
  cpuMs: Record<string, number | null>;
  /** Resident memory in MB of each process, Redis included. */
  residentMb: Record<string, number | null>;
  walBytes: number;
  /** Size of Redis' append-only file; null without one. */
  aofBytes: number | null;
};

/** /proc counts in USER_HZ, which is 100 on every Linux. */
const msPerTick = 10;

export async function readUsage(stores: BenchStores, processes: readonly BenchProcess[]): Promise<Usage> {
  const [wal] = await stores.admin<{ bytes: number }[]>`SELECT pg_current_wal_lsn() - '0/0' AS bytes`;
  const redis = await stores.redis.info('everything');
  const figure = (name: string) => Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(redis)?.[1] ?? Number.NaN);
  const aof = figure('aof_current_size');
  const postgres = stores.postgresPid();
  return {
    cpuMs: {
      ...Object.fromEntries(processes.map(({ name, pid }) => [name, statOf(pid)?.ownCpuMs ?? null])),
      postgres: postgres === undefined ? null : serverCpuMs(postgres),
      redis: (figure('used_cpu_user') + figure('used_cpu_sys')) * 1000,
    },
    residentMb: {
      ...Object.fromEntries(processes.map(({ name, pid }) => [name, residentMb(pid)])),
      redis: figure('used_memory_rss') / 2 ** 20,
    },
    walBytes: wal?.bytes ?? Number.NaN,
    aofBytes: Number.isNaN(aof) ? null : aof,
  };
}

/** All of a Postgres server: the postmaster, its children, and those that have ended. */
export function serverCpuMs(postmaster: number): number | null {
  const parent = statOf(postmaster);
  if (parent === null) return null;
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => statOf(Number(name)))
    .filter((stat) => stat?.parent === postmaster);
  return children.reduce((sum, stat) => sum + (stat?.ownCpuMs ?? 0), parent.ownCpuMs + parent.endedCpuMs);
}

/** `man 5 proc_pid_stat`: fields 4, 14 to 17, counted after the name in brackets, which may hold anything. */
function statOf(pid: number): { parent: number; ownCpuMs: number; endedCpuMs: number } | null {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ').map(Number) ?? [];
    const at = (field: number) => fields[field - 3] ?? 0;
    return { parent: at(4), ownCpuMs: (at(14) + at(15)) * msPerTick, endedCpuMs: (at(16) + at(17)) * msPerTick };
  } catch {
    return null; // not Linux, or it ended between the listing and this
  }
}

function residentMb(pid: number): number | null {
  try {
    const kb = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kb === undefined ? null : Number(kb) / 1024;
  } catch {
    return null;
  }
}
