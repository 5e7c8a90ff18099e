import type { BulkLine, BulkProgress, Run } from '@flowstate/contracts';
import { runStates } from '@flowstate/contracts';
import { Option, type Command } from 'commander';
import { confirmed } from './confirm.ts';
import { withClient, type ConnectionOptions } from './connection.ts';
import { describeProblem, isBrokenOff, type GatewayClient } from './gateway-client.ts';
import { jsonLines } from './json-lines.ts';
import { CommandError, exitCodes, type Terminal } from './terminal.ts';

type Action = 'cancel' | 'retry';
type Filter = {
  workflow?: string;
  state?: string;
  tag?: string;
  createdAfter?: string;
  createdBefore?: string;
  ids?: string[];
};
type Options = ConnectionOptions & Omit<Filter, 'ids'> & { dryRun?: boolean; yes?: boolean };

const changes = { cancel: 'cancelled', retry: 'retried' } as const;

/** `flowstate runs cancel|retry`: one run by its id, or all that match a filter. */
export function addBulkCommands(runs: Command, terminal: Terminal, done: (exitCode: number) => void): void {
  for (const [action, description] of [
    ['cancel', 'cancel a run, or all that match'],
    ['retry', 'retry a failed run from its failed step, or all that match'],
  ] as const) {
    runs
      .command(action)
      .description(description)
      .argument('[ids...]')
      .option('--workflow <name>', 'all of this workflow')
      .addOption(new Option('--state <state>', 'all in this state').choices(runStates))
      .option('--tag <tag>', 'all with this tag')
      .option('--created-after <time>', 'all accepted at that time (ISO 8601) or later')
      .option('--created-before <time>', 'all accepted before that time')
      .option('--dry-run', 'only say how many match')
      .option('--yes', 'do not ask')
      .action(async (ids: string[], _options: unknown, command: Command) => {
        const options = command.optsWithGlobals<Options>();
        const filter = filterOf(ids, options);
        if (Object.keys(filter).length === 0) {
          throw new CommandError(
            `${action}: name runs by their id, or by --workflow, --state, --tag or time`,
            exitCodes.usage,
          );
        }
        await withClient(command, terminal, async (client) =>
          done(await change(client, action, filter, options, terminal)),
        );
      });
  }
}

function filterOf(ids: string[], { workflow, state, tag, createdAfter, createdBefore }: Options): Filter {
  return {
    ...(ids.length > 0 && { ids }),
    ...(workflow !== undefined && { workflow }),
    ...(state !== undefined && { state }),
    ...(tag !== undefined && { tag }),
    ...(createdAfter !== undefined && { createdAfter }),
    ...(createdBefore !== undefined && { createdBefore }),
  };
}

async function change(
  client: GatewayClient,
  action: Action,
  filter: Filter,
  { dryRun, yes }: Options,
  terminal: Terminal,
): Promise<number> {
  const { stdout, stderr } = terminal;
  const [only, ...others] = filter.ids ?? [];
  if (only !== undefined && others.length === 0 && Object.keys(filter).length === 1 && !dryRun) {
    const run = await client.request<Run>('POST', `/api/runs/${encodeURIComponent(only)}/${action}`);
    stdout.write(`${run.id} ${run.state}\n`);
    return 0;
  }
  if (dryRun || !yes) {
    const { matched, failed } = await changeAll(client, action, { ...filter, dryRun: true }, terminal, false);
    if (dryRun) {
      stdout.write(`dry run: ${matched} would be ${changes[action]}, ${failed.length} would be refused\n`);
      return 0;
    }
    if (!(await confirmed(`${action === 'cancel' ? 'Cancel' : 'Retry'} ${matched} runs?`, terminal))) {
      stderr.write('Nothing was changed.\n');
      return exitCodes.failed;
    }
  }
  const { matched, changed, failed } = await changeAll(client, action, filter, terminal, true);
  for (const { id, code, message } of failed) stderr.write(`${id} ${code}: ${message}\n`);
  stdout.write(`${matched} matched, ${changed} ${changes[action]}, ${failed.length} failed\n`);
  return failed.length > 0 ? exitCodes.failed : 0;
}

/** The totals, with every failure. */
async function changeAll(
  client: GatewayClient,
  action: Action,
  json: Filter & { dryRun?: boolean },
  { stderr }: Terminal,
  tell: boolean,
): Promise<BulkProgress> {
  const brokenOff = new CommandError('The connection broke off; what was changed stays so, and asking again goes on.');
  const failed: BulkProgress['failed'] = [];
  try {
    for await (const line of jsonLines<BulkLine>(await client.stream('POST', `/api/runs/${action}`, { json }))) {
      if ('error' in line) throw new CommandError(`It ended early: ${describeProblem(line.error)}`);
      failed.push(...line.failed);
      if (line.done) return { ...line, failed };
      if (tell && stderr.isTTY) stderr.write(`\r${line.changed} ${changes[action]} …\r`);
    }
  } catch (error) {
    throw isBrokenOff(error) ? brokenOff : error;
  }
  throw brokenOff;
}
