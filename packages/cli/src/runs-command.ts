import { runStates, type Run, type Step } from '@flowstate/contracts';
import { Option, type Command } from 'commander';
import { addBulkCommands } from './bulk-command.ts';
import { withClient as withConnection, type ConnectionOptions } from './connection.ts';
import type { GatewayClient } from './gateway-client.ts';
import { formatTable } from './table.ts';
import type { Terminal } from './terminal.ts';

type ListOptions = ConnectionOptions & {
  workflow?: string;
  state?: string;
  tag?: string;
  limit: string;
  json?: boolean;
};

/** `flowstate runs list|show|steps|cancel|retry`. */
export function addRunsCommand(program: Command, terminal: Terminal, done: (exitCode: number) => void): void {
  const runs = program.command('runs').description('look at runs and steer them');
  const { stdout } = terminal;

  const withClient = (command: Command, work: (client: GatewayClient) => Promise<void>) =>
    withConnection(command, terminal, work);
  const printJson = (value: unknown) => void stdout.write(`${JSON.stringify(value, null, 2)}\n`);

  runs
    .command('list')
    .description('runs you may see, newest first')
    .option('--workflow <name>', 'only of this workflow')
    .addOption(new Option('--state <state>', 'only in this state').choices(runStates))
    .option('--tag <tag>', 'only with this tag')
    .option('--limit <n>', 'at most so many, up to 200', '20')
    .option('--json', 'as JSON')
    .action(async (_options: unknown, command: Command) => {
      const { workflow, state, tag, limit, json } = command.optsWithGlobals<ListOptions>();
      const query = new URLSearchParams({
        limit,
        ...(workflow && { workflow }),
        ...(state && { state }),
        ...(tag && { tag }),
      });
      await withClient(command, async (client) => {
        const { items } = await client.request<{ items: Run[] }>('GET', `/api/runs?${query.toString()}`);
        if (json) printJson(items);
        else stdout.write(formatTable(['ID', 'WORKFLOW', 'STATE', 'CREATED', 'TOOK'], items.map(runRow)));
      });
    });

  runs
    .command('show')
    .description('one run as JSON')
    .argument('<id>')
    .action(async (id: string, _options: unknown, command: Command) => {
      await withClient(command, async (client) => printJson(await client.request<Run>('GET', runPath(id))));
    });

  runs
    .command('steps')
    .description('the recorded steps of a run, oldest first')
    .argument('<id>')
    .option('--json', 'as JSON, with outputs')
    .action(async (id: string, { json }: { json?: boolean }, command: Command) => {
      await withClient(command, async (client) => {
        const { items } = await client.request<{ items: Step[] }>('GET', `${runPath(id)}/steps`);
        if (json) printJson(items);
        else stdout.write(formatTable(['STEP', 'STATE', 'ATTEMPT', 'TOOK', 'ERROR'], items.map(stepRow)));
      });
    });

  addBulkCommands(runs, terminal, done);
}

function runPath(id: string): string {
  return `/api/runs/${encodeURIComponent(id)}`;
}

function runRow({ id, workflow, state, createdAt, startedAt, finishedAt }: Run): string[] {
  return [id, workflow, state, createdAt, took(startedAt, finishedAt)];
}

function stepRow({ name, state, attempt, startedAt, finishedAt, error }: Step): string[] {
  return [name, state, String(attempt), took(startedAt, finishedAt), error?.message ?? ''];
}

function took(from: string | null, to: string | null): string {
  return from === null || to === null ? '' : `${Date.parse(to) - Date.parse(from)} ms`;
}
