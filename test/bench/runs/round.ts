import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { createSql } from '@flowstate/store';
import { Redis } from 'ioredis';
import { createCleanup } from '../cleanup.ts';
import type { Contender } from '../contenders/contender.ts';
import { startLoad } from '../load/client.ts';
import type { Latencies } from '../load/messages.ts';
import { monotonicMicroseconds, topFunctions, topStatements } from '../profile.ts';
import { settleStores, type BenchStores } from '../stores.ts';
import { pacedPerSecond, type Plan } from './plan.ts';
import { measureThroughput, type Throughput } from './throughput.ts';

export type Round = Throughput & {
  /** With as many runs under way as make the throughput. */
  flood: Latencies;
  paced: Latencies;
  /** Of tables and indexes, a run. */
  tableBytes: number;
  /** Of Redis, for each of the finished jobs it keeps. */
  redisKeptBytes: number;
};

type Options = {
  stores: BenchStores;
  plan: Plan;
  profileDir: string | undefined;
  signal: AbortSignal;
  log: (line: string) => void;
};

/** One contender, started afresh on empty stores: warmed up, flooded, then paced; all it accepted must be finished. */
export async function measureRound(
  contender: Contender,
  { stores, plan, profileDir, signal, log }: Options,
): Promise<Round> {
  const cleanup = createCleanup();
  const profiles = profileDir === undefined ? undefined : join(profileDir, contender.name);
  let reports: (() => Promise<string>)[] = [];
  try {
    await settleStores(stores);
    const running = await contender.start({ stores, cleanup, concurrency: plan.concurrency, profileDir: profiles });
    const sql = createSql(running.databaseUrl, { name: 'flowstate-bench', max: 1 });
    cleanup.teardown(() => sql.end());
    const load = await startLoad({ cleanup, signal }, running.target, plan.inFlight);
    const [sizeBefore, memoryBefore] = [await databaseBytes(sql), await datasetBytes(stores)];

    if (stores.countsStatements) await stores.admin`SELECT pg_stat_statements_reset()`;
    await load.flood(plan.inFlight);
    await wait(plan.warmUpMs, undefined, { signal });
    const from = monotonicMicroseconds();
    const throughput = await measureThroughput(stores, running.processes, load, { ...plan, signal });
    const stretch = { from, to: monotonicMicroseconds() };
    const flood = await load.stop();
    if (profiles !== undefined) {
      if (stores.countsStatements) log(`\n${await topStatements(stores, nameOf(running.databaseUrl))}`);
      reports = running.processes.map(
        ({ name }) =>
          () =>
            topFunctions(join(profiles, `${name}.cpuprofile`), stretch),
      );
    }
    const { accepted } = await load.count();
    await running.checkFinished(accepted);
    const sizeAfter = await databaseBytes(sql);
    const kept = await jobsKept(running.target);
    const memoryAfter = await datasetBytes(stores);

    const paced = await load.pace(pacedPerSecond, plan.pacedRuns);
    await running.checkFinished(accepted + plan.pacedRuns);
    return {
      ...throughput,
      flood,
      paced,
      tableBytes: (sizeAfter - sizeBefore) / accepted,
      redisKeptBytes: (memoryAfter - memoryBefore) / kept,
    };
  } finally {
    await cleanup.run();
    for (const report of reports) log(`\n${await report()}`);
  }
}

type Db = ReturnType<typeof createSql>;

async function databaseBytes(sql: Db): Promise<number> {
  const [row] = await sql<{ bytes: number }[]>`
    SELECT sum(pg_total_relation_size(oid)) AS bytes FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`;
  return row?.bytes ?? Number.NaN;
}

/** What Redis holds, without its own buffers and those of its clients. */
async function datasetBytes({ redis }: BenchStores): Promise<number> {
  return Number(/^used_memory_dataset:(\d+)/m.exec(await redis.info('memory'))?.[1]);
}

/** BullMQ keeps the last finished jobs, not all of them. */
async function jobsKept({ redisUrl, events }: { redisUrl: string; events: string }): Promise<number> {
  const redis = new Redis(redisUrl);
  try {
    return await redis.zcard(events.replace(/:events$/, ':completed'));
  } finally {
    await redis.quit();
  }
}

function nameOf(databaseUrl: string): string {
  return new URL(databaseUrl).pathname.slice(1);
}
