import { writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { resolve } from 'node:path';
import type { Bench } from '../bench.ts';
import { bare } from '../contenders/bare.ts';
import { handWritten } from '../contenders/hand-written.ts';
import { product, strict } from '../contenders/product.ts';
import { startBenchStores } from '../stores.ts';
import { growthLevels } from './growth.ts';
import { measureInTurn } from './in-turn.ts';
import { measureHops } from './hops.ts';
import { optionsText, readOptions } from './options.ts';
import { textOf, type Report } from './report.ts';
import { measureRound } from './round.ts';
import { pacedPerSecond } from './plan.ts';
import { ratiosOf, targetsOf } from './targets.ts';

const contenders = [bare, handWritten, product, strict];

/** Durable runs beside the same work without durability and with a ledger written by hand. */
export const runsBench: Bench = {
  summary: 'durable runs over HTTP beside (a) bare Fastify + BullMQ and (b) a ledger written by hand (the default)',
  options: optionsText,
  async run(args, surroundings) {
    const { plan, json, only, profileDir } = readOptions(args);
    const { signal, log } = surroundings;
    const stores = await startBenchStores(surroundings, { statements: profileDir !== undefined });
    const [server] = await stores.admin<{ version: string; fsync: string }[]>`
      SELECT current_setting('server_version') AS version, current_setting('fsync') AS fsync`;
    const machine = `${availableParallelism()} × ${cpus()[0]?.model ?? 'CPU'}, Node ${process.versions.node}, PostgreSQL ${server?.version}, fsync ${server?.fsync}`;
    const { rounds } = plan;
    const dir = profileDir === undefined ? undefined : resolve(profileDir);
    const beside = await measureInTurn({
      items: contenders.filter(({ name }) => only.includes(name)),
      rounds,
      signal,
      measure: (contender) => measureRound(contender, { stores, plan, profileDir: dir, signal, log }),
      log,
      told: ({ runsPerSecond }) => `${runsPerSecond.toFixed(0)} runs/s`,
    });
    const growth = await measureInTurn({
      items: only.includes('growth') ? growthLevels(plan) : [],
      rounds,
      signal,
      measure: (level) => level.measure({ stores, plan, signal }),
      log,
      told: ({ runsPerSecond }) => `${runsPerSecond.toFixed(0)} runs/s`,
    });
    const hops = await measureHops({ stores, perSecond: pacedPerSecond, each: plan.hops, signal });
    const contenderMedians = beside.medians;
    const report: Report = {
      contenders: contenderMedians,
      ratios: ratiosOf(contenderMedians),
      growth: growth.medians,
      hops,
      targets: targetsOf(contenderMedians, growth.medians, plan),
    };
    if (json !== undefined) {
      await writeFile(
        json,
        `${JSON.stringify({ machine, plan, ...report, rounds: { ...beside.rounds, ...growth.rounds } }, null, 2)}\n`,
      );
    }
    console.log(
      `\n${machine}; ${plan.concurrency} runs in a worker's hand, ${plan.inFlight} under way, medians of ${plan.rounds}\n\n${textOf(report, contenders)}`,
    );
  },
};
