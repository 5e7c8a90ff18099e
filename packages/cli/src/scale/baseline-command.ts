import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { withClient, type ConnectionOptions } from '../connection.ts';
import { readDuration } from '../duration.ts';
import type { ProcessUse } from '../metrics/process-use.ts';
import { CommandError, exitCodes, type Terminal } from '../terminal.ts';
import { baselineRow, withBaseline, type Baseline } from './baseline-table.ts';
import { gatherInputs, type CapacityInputs } from './capacity-inputs.ts';

type Options = ConnectionOptions & { during: string; write?: boolean; file: string };

const runbook = fileURLToPath(new URL('../../../../deploy/runbooks/scaling.md', import.meta.url));
/** Less CPU than this says nothing about a whole core. */
const leastCores = 0.05;

/** `flowstate scale baseline`: what a replica of each kind does now, for the runbook. */
export function addBaselineCommand(scale: Command, terminal: Terminal): void {
  scale
    .command('baseline')
    .description('measure capacity baselines: what one core of a gateway and of a worker does under the load of now')
    .option('--during <time>', 'how long to look', '30s')
    .option('--write', 'put them into the runbook')
    .option('--file <runbook>', 'which runbook', runbook)
    .action(async (_options: unknown, self: Command) => {
      const options = self.optsWithGlobals<Options>();
      const { file, write = false } = options;
      const seconds = readDuration(options.during, '--during');
      const text = write ? await readRunbook(file) : '';
      await withClient(self, terminal, async (client) => {
        const inputs = await gatherInputs({ client, connection: options, seconds, terminal });
        const { version = 'unknown' } = await client.request<{ version?: string }>('GET', '/api/ready');
        const baseline = baselineOf(inputs, version);
        terminal.stdout.write(`${baselineRow(baseline)}\n`);
        if (!write) return;
        try {
          await writeFile(file, withBaseline(text, baseline));
        } catch (error) {
          throw new CommandError(`--file ${file}: ${(error as Error).message}`, exitCodes.usage);
        }
        terminal.stdout.write(`written to ${file}: commit it, so that the team has it\n`);
      });
    });
}

async function readRunbook(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new CommandError(`--file: ${(error as Error).message}`, exitCodes.usage);
  }
}

function baselineOf({ api, runs, processes, searchCacheHits, queues }: CapacityInputs, version: string): Baseline {
  const of = (service: string) => processes.filter((use) => use.service === service);
  const perCore = (rate: number, uses: ProcessUse[]) => {
    const cores = uses.reduce((sum, use) => sum + use.cores, 0);
    return rate > 0 && cores >= leastCores ? rate / cores : null;
  };
  const largest = (uses: ProcessUse[]) => Math.max(0, ...uses.map(({ residentBytes }) => residentBytes)) / 1_048_576;
  const workflows = queues.find(({ queue }) => queue === 'workflows')?.state ?? null;
  return {
    at: new Date(),
    version,
    requestsPerSecond: api.requestsPerSecond,
    requestsPerGatewayCore: perCore(api.requestsPerSecond, of('gateway')),
    p95Ms: api.p95Seconds === null ? null : api.p95Seconds * 1000,
    runsPerSecond: runs.endedPerSecond,
    runsPerWorkerCore: perCore(runs.endedPerSecond, of('worker')),
    serviceSeconds: workflows?.serviceSeconds ?? null,
    gatewayMiB: largest(of('gateway')),
    workerMiB: largest(of('worker')),
    cacheHits: searchCacheHits,
  };
}
