import type { Command } from 'commander';
import { withClient, type ConnectionOptions } from '../connection.ts';
import { readDuration } from '../duration.ts';
import { formatTable } from '../table.ts';
import { exitCodes, type Terminal } from '../terminal.ts';
import { gatherInputs, type CapacityInputs } from './capacity-inputs.ts';
import { propose, type Proposal } from './proposal.ts';

type Options = ConnectionOptions & { during: string; json?: boolean };

/** `flowstate scale propose`: the capacity inputs, and the replicas they ask for. */
export function addProposeCommand(scale: Command, terminal: Terminal, done: (code: number) => void): void {
  scale
    .command('propose')
    .description('gather the capacity inputs and propose replicas with the arithmetic; exit code 1: not all were had')
    .option('--during <time>', 'how long to look', '5s')
    .option('--json', 'as JSON')
    .action(async (_options: unknown, self: Command) => {
      const options = self.optsWithGlobals<Options>();
      const seconds = readDuration(options.during, '--during');
      await withClient(self, terminal, async (client) => {
        const inputs = await gatherInputs({ client, connection: options, seconds, terminal });
        const proposals = propose(inputs);
        terminal.stdout.write(
          options.json
            ? `${JSON.stringify({ inputs, proposals }, null, 2)}\n`
            : `${formatTable(['INPUT', 'VALUE'], rowsOf(inputs))}\n${formatTable(['OF', 'RUNNING', 'PROPOSED', 'BECAUSE'], proposals.map(proposalRow))}`,
        );
        if (inputs.unread.length > 0 || proposals.some(({ proposed }) => proposed === null)) done(exitCodes.failed);
      });
    });
}

const percent = (share: number | null) => (share === null ? 'nothing asked' : `${(share * 100).toFixed(0)} % hits`);
const mebibytes = (bytes: number) => `${(bytes / 1_048_576).toFixed(1)} MiB`;

function rowsOf({ api, searchCacheHits, redis, processes, places, runs, queues, unread }: CapacityInputs): string[][] {
  const p95 = api.p95Seconds === null ? 'no requests' : `${(api.p95Seconds * 1000).toFixed(0)} ms`;
  return [
    ['API throughput', `${api.requestsPerSecond.toFixed(1)} requests/s`],
    [`http_request_duration_seconds{quantile="0.95"} (${api.p95From})`, p95],
    ['vector-search cache', percent(searchCacheHits)],
    ...redis.map(({ instance, usedBytes, maxBytes, evicted, hits }) => [
      `Redis ${instance}${instance === 'queues' ? ' (with session copies)' : ''}`,
      `${mebibytes(usedBytes)} of ${maxBytes === 0 ? 'unlimited' : mebibytes(maxBytes)}, ${evicted} evicted, ${percent(hits)}`,
    ]),
    ...processes.map(({ service, host, cores, residentBytes }) => [
      `${service} ${host}`,
      `${cores.toFixed(2)} cores, ${mebibytes(residentBytes)}`,
    ]),
    ['worker places', `${places.taken} of ${places.all} taken`],
    [
      'worker_agent_workflows_total',
      `${runs.startedPerSecond.toFixed(2)} started/s, ${runs.endedPerSecond.toFixed(2)} ended/s`,
    ],
    ...queues.map(({ queue, state, problem }) => [
      `backlog of ${queue}`,
      state === null
        ? `unknown: ${problem}`
        : `${state.waiting} waiting, oldest ${state.oldestAgeSeconds.toFixed(1)} s, ${state.arrivalPerSecond.toFixed(2)} arrive/s`,
    ]),
    ...unread.map(({ url, why }) => [`metrics of ${url}`, `NOT READ: ${why}`]),
  ];
}

function proposalRow({ of, running, proposed, because }: Proposal): string[] {
  return [of, String(running ?? '?'), String(proposed ?? '?'), because];
}
