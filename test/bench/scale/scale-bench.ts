import { writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import type { Bench } from '../bench.ts';
import { startBenchStores } from '../stores.ts';
import { shown, tableOf } from '../table.ts';
import { fillHeap } from './full-heap-part.ts';
import { measureHeap, type HeapLevel } from './heap-level.ts';
import { limitsTable, measureAllLimits, readServices } from './limits-part.ts';
import { measureRestore, type RestoreLevel } from './restore-level.ts';
import { measureWaiting, type WaitingLevel } from './waiting-level.ts';
import { measureWorkers, type WorkersLevel } from './workers-level.ts';

const optionsText = `    --quick       a minute: 1 and 2 workers, 1,000 and 5,000 waiting runs, one heap
    --only NAMES  some of workers, waiting, restore, heap, limits, full-heap, separated by commas
    --workers N,N how many worker processes, each in turn (1,2,4)
    --services NAMES  whose containers \`limits\` tries (worker,gateway,controller); it takes a Docker engine
    --limits N,N  MiB that containers may take, each in turn
    --no-embedding  \`limits\` without documents and searches, the heap as the chart has it where an endpoint embeds
    --json FILE   also writes the figures as JSON`;

const parts = ['workers', 'waiting', 'restore', 'heap', 'limits', 'full-heap'];

const long = {
  workers: [1, 2, 4],
  waiting: [1_000, 10_000, 100_000],
  restore: [10_000, 100_000],
  heaps: [32, 48, 64, 96, 128, 256],
  places: [16, 64],
  limits: [128, 192, 256, 320, 384, 448, 512, 768],
  cpus: [0.25, 0.5, 1],
  plan: { concurrency: 16, inFlight: 128, windowMs: 10_000, warmUpMs: 8_000 },
};
const quick = {
  workers: [1, 2],
  waiting: [1_000, 5_000],
  restore: [5_000],
  heaps: [96],
  places: [16],
  limits: [512],
  cpus: [],
  plan: { concurrency: 16, inFlight: 64, windowMs: 3_000, warmUpMs: 2_000 },
};

/** What `deploy/capacity.md` is computed from. */
export const scaleBench: Bench = {
  summary: 'capacity: what one core of each service does, memory, connections and bytes, and how they grow',
  options: optionsText,
  async run(args, surroundings) {
    const { levels, only, of, embeds, json } = readOptions(args);
    const { signal, log } = surroundings;
    const stores = await startBenchStores(surroundings);
    const workers: WorkersLevel[] = [];
    for (const count of only.includes('workers') ? levels.workers : []) {
      workers.push(await measureWorkers(count, { stores, plan: levels.plan, signal }));
      log(`${count} workers: ${shown(workers.at(-1)?.runsPerSecond)} runs/s`);
    }
    const waiting: WaitingLevel[] = [];
    for (const runs of only.includes('waiting') ? levels.waiting : []) {
      waiting.push(await measureWaiting(runs, { stores, ...levels.plan, signal }));
      log(`${runs} runs waiting: ${shown(waiting.at(-1)?.tableBytes)} bytes each`);
    }
    const restored: RestoreLevel[] = [];
    for (const runs of only.includes('restore') ? levels.restore : []) {
      const level = await measureRestore(runs, { stores, signal });
      if (typeof level === 'string') log(`no restore: ${level}`);
      else restored.push(level);
      log(`${runs} runs: restored in ${shown(restored.at(-1)?.restoreSeconds)} s`);
    }
    const heaps: HeapLevel[] = [];
    for (const places of only.includes('heap') ? levels.places : []) {
      for (const heapMb of levels.heaps) {
        heaps.push(await measureHeap(heapMb, places, { stores, plan: levels.plan, signal, log }));
        log(`heap of ${heapMb} MiB, ${places} places: ${shown(heaps.at(-1)?.runsPerSecond)} runs/s`);
      }
    }
    const limits = only.includes('limits')
      ? await measureAllLimits({
          of,
          memoryMb: levels.limits,
          cpus: levels.cpus,
          plan: levels.plan,
          embeds,
          stores,
          signal,
          log,
        })
      : [];
    const fullHeap = only.includes('full-heap') ? await fillHeap({ stores, signal, log }) : '';
    const machine = `${availableParallelism()} × ${cpus()[0]?.model ?? 'CPU'}, Node ${process.versions.node}`;
    if (json !== undefined)
      await writeFile(json, `${JSON.stringify({ machine, workers, waiting, restored, heaps, limits }, null, 2)}\n`);
    console.log(
      `\n${machine}\n\n${[workersTable(workers), waitingTable(waiting), restoreTable(restored), heapTable(heaps), limitsTable(limits), fullHeap].filter(Boolean).join('\n\n')}\n`,
    );
  },
};

function workersTable(levels: WorkersLevel[]): string {
  if (levels.length === 0) return '';
  const row = (name: string, figure: (level: WorkersLevel) => number) => [
    name,
    ...levels.map((level) => shown(figure(level))),
  ];
  return tableOf(
    ['worker processes', ...levels.map(({ workers }) => String(workers))],
    [
      row('runs/s', (level) => level.runsPerSecond),
      row('runs/s a worker core', (level) => level.perWorkerCore),
      row('runs/s a gateway core', (level) => level.perGatewayCore),
      ...(['gateway', 'worker', 'controller', 'postgres', 'redis'] as const).map((name) =>
        row(`CPU ms a run, ${name}`, (level) => level.cpuMs[name]),
      ),
      row('MiB of a worker', (level) => level.workerMb),
      row('MiB of the gateway', (level) => level.gatewayMb),
      row('connections of the gateway', (level) => level.connections.gateway),
      row('connections of a worker', (level) => level.connections.worker),
      row('connections of the controller', (level) => level.connections.controller),
      row('bytes a finished run in tables', (level) => level.tableBytes),
      row('bytes of WAL a run', (level) => level.walBytes),
    ],
  );
}

function waitingTable(levels: WaitingLevel[]): string {
  if (levels.length === 0) return '';
  const row = (name: string, figure: (level: WaitingLevel) => number) => [
    name,
    ...levels.map((level) => shown(figure(level))),
  ];
  return tableOf(
    ['runs waiting', ...levels.map(({ waiting }) => waiting.toLocaleString('en'))],
    [
      row('bytes each in tables', (level) => level.tableBytes),
      row('bytes each in Redis', (level) => level.redisBytes),
      row('MiB of the gateway per 1,000', (level) => level.gatewayMbPerThousand),
      row('MiB of the controller per 1,000', (level) => level.controllerMbPerThousand),
      row('cores of the controller meanwhile', (level) => level.controllerCores),
      row('MiB of a worker on them', (level) => level.workerMb),
      row('runs/s worked off by one worker', (level) => level.runsPerSecond),
    ],
  );
}

function restoreTable(levels: RestoreLevel[]): string {
  if (levels.length === 0) return '';
  return tableOf(
    ['finished runs', 'file, MiB', 'backup, s', 'restore, s'],
    levels.map(({ runs, fileBytes, backupSeconds, restoreSeconds }) => [
      runs.toLocaleString('en'),
      shown(fileBytes / 2 ** 20),
      shown(backupSeconds),
      shown(restoreSeconds),
    ]),
  );
}

function heapTable(levels: HeapLevel[]): string {
  if (levels.length === 0) return '';
  return tableOf(
    ['--max-old-space-size, places', 'runs/s', 'MiB resident', 'worker CPU ms a run'],
    levels.map(({ heapMb, concurrency, runsPerSecond, workerMb, workerCpuMs }) => [
      `${heapMb}, ${concurrency}`,
      runsPerSecond === null ? 'died' : shown(runsPerSecond),
      shown(workerMb),
      shown(workerCpuMs),
    ]),
  );
}

function readOptions(args: string[]) {
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      workers: { type: 'string' },
      limits: { type: 'string' },
      'no-embedding': { type: 'boolean', default: false },
      services: { type: 'string' },
      json: { type: 'string' },
    },
  });
  const only = values.only?.split(',') ?? parts;
  const unknown = only.find((name) => !parts.includes(name));
  if (unknown !== undefined) throw new Error(`--only: there is no ${unknown}, only ${parts.join(', ')}`);
  const base = values.quick ? quick : long;
  const numbers = (name: 'workers' | 'limits') => {
    const list = values[name]?.split(',').map(Number) ?? base[name];
    if (list.every((each) => Number.isInteger(each) && each > 0)) return list;
    throw new Error(`--${name}: ${values[name]} is no list of whole numbers from 1 on`);
  };
  const levels = {
    ...base,
    workers: numbers('workers'),
    limits: numbers('limits'),
    // Who names limits does not ask for shares of a core.
    cpus: values.limits === undefined ? base.cpus : [],
  };
  return { levels, only, of: readServices(values.services), embeds: !values['no-embedding'], json: values.json };
}
