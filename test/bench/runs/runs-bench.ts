import { writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { resolve } from 'node:path';
import type { Bench } from '../bench.ts';
import { bare } from '../contenders/bare.ts';
import { handWritten } from '../contenders/hand-written.ts';
import { product, strict } from '../contenders/product.ts';
import { mediansOf } from '../medians.ts';
import { startBenchStores } from '../stores.ts';
import { measureWithFinished, measureWithQueued, type Growth } from './growth.ts';
import { optionsText, readOptions } from './options.ts';
import { textOf, type Report } from './report.ts';
import { measureRound, type Round } from './round.ts';
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
    const rounds: Record<string, Round[]> = {};
    const chosen = contenders.filter(({ name }) => only.includes(name));
    const dir = profileDir === undefined ? undefined : resolve(profileDir);
    for (let round = 0; round < plan.rounds; round++) {
      // In turn, so that what slows the machine down for a while slows all; another one first each time.
      for (let turn = 0; turn < chosen.length; turn++) {
        signal.throwIfAborted();
        const contender = chosen[(turn + round) % chosen.length];
        if (contender === undefined) continue;
        const measured = await measureRound(contender, { stores, plan, profileDir: dir, signal, log });
        (rounds[contender.name] ??= []).push(measured);
        log(`round ${round + 1} of ${plan.rounds}, ${contender.name}: ${measured.runsPerSecond.toFixed(0)} runs/s`);
      }
    }
    const finished: Growth[] = [];
    const queued: Growth[] = [];
    if (only.includes('growth')) {
      for (const runs of plan.finished) {
        signal.throwIfAborted();
        finished.push(await measureWithFinished(runs, { stores, plan, signal }));
        log(`${runs} finished runs: ${finished.at(-1)?.runsPerSecond.toFixed(0)} runs/s`);
      }
      for (const runs of plan.queued) {
        signal.throwIfAborted();
        queued.push(await measureWithQueued(runs, { stores, plan, signal }));
        log(`${runs} queued runs: ${queued.at(-1)?.runsPerSecond.toFixed(0)} runs/s`);
      }
    }
    const medians = Object.fromEntries(Object.entries(rounds).map(([name, each]) => [name, mediansOf(each)]));
    const report: Report = {
      contenders: medians,
      ratios: ratiosOf(medians),
      targets: targetsOf({ contenders: medians, finished, queued }),
      finished,
      queued,
    };
    if (json !== undefined) {
      await writeFile(json, `${JSON.stringify({ machine, plan, ...report, rounds }, null, 2)}\n`);
    }
    console.log(
      `\n${machine}; ${plan.concurrency} runs in a worker's hand, ${plan.inFlight} under way, medians of ${plan.rounds}\n\n${textOf(report, contenders)}`,
    );
  },
};
