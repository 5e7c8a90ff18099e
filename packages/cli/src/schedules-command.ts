import { missedPolicies, overlapPolicies, type Run, type Schedule } from '@flowstate/contracts';
import { Option, type Command } from 'commander';
import { withClient, type ConnectionOptions } from './connection.ts';
import { readJsonInput, toNumber } from './json-input.ts';
import { formatTable } from './table.ts';
import type { Terminal } from './terminal.ts';

type CreateOptions = ConnectionOptions & {
  input: string;
  cron?: string;
  everyMs?: string;
  timezone?: string;
  missed?: string;
  overlap?: string;
  priority?: string;
  tag?: string[];
  name?: string;
  startAt?: string;
  endAt?: string;
  paused?: boolean;
};

/** `flowstate schedules list|create|delete|pause|resume|trigger`. */
export function addSchedulesCommand(program: Command, terminal: Terminal): void {
  const schedules = program.command('schedules').description('runs that start by themselves');
  const { stdout } = terminal;
  const print = ({ id, state, nextAt }: Schedule) => void stdout.write(`${id} ${state} ${nextAt ?? ''}`.trim() + '\n');

  schedules
    .command('list')
    .description('all schedules, newest first')
    .option('--limit <n>', 'at most so many, up to 200', '50')
    .option('--json', 'as JSON')
    .action(async ({ limit, json }: { limit: string; json?: boolean }, command: Command) => {
      await withClient(command, terminal, async (client) => {
        const path = `/api/schedules?${new URLSearchParams({ limit }).toString()}`;
        const { items } = await client.request<{ items: Schedule[] }>('GET', path);
        if (json) stdout.write(`${JSON.stringify(items, null, 2)}\n`);
        else stdout.write(formatTable(['ID', 'NAME', 'WORKFLOW', 'WHEN', 'STATE', 'NEXT', 'WHY'], items.map(rowOf)));
      });
    });

  schedules
    .command('create')
    .description('start a workflow again and again; prints the schedule as JSON')
    .argument('<workflow>', 'its name, as in GET /api/workflows')
    .option('--cron <pattern>', 'five fields, or six with seconds first')
    .option('--every-ms <n>', 'or every so many milliseconds')
    .option('--timezone <zone>', 'IANA name the cron is read in, Europe/Berlin say (UTC)')
    .option('--input <json>', 'the input; @file reads a file, - standard input', '{}')
    .addOption(new Option('--missed <policy>', 'what of missed due times (run-once)').choices(missedPolicies))
    .addOption(new Option('--overlap <policy>', 'while a run is not over (allow)').choices(overlapPolicies))
    .option('--priority <0-9>', '0 is served first')
    .option('--tag <tag...>', 'tags of its runs')
    .option('--name <name>', 'to know it by')
    .option('--start-at <time>', 'not before this time (ISO 8601)')
    .option('--end-at <time>', 'not after this time')
    .option('--paused', 'do not fire until it is resumed')
    .action(async (workflow: string, _options: unknown, command: Command) => {
      const json = await bodyOf(workflow, command.optsWithGlobals<CreateOptions>(), terminal);
      await withClient(command, terminal, async (client) => {
        const schedule = await client.request<Schedule>('POST', '/api/schedules', { json });
        stdout.write(`${JSON.stringify(schedule, null, 2)}\n`);
      });
    });

  for (const [action, description, enabled] of [
    ['pause', 'do not fire until it is resumed', false],
    ['resume', 'fire again from its next due time on; also after it was suspended', true],
  ] as const) {
    schedules
      .command(action)
      .description(description)
      .argument('<id>')
      .action(async (id: string, _options: unknown, command: Command) => {
        await withClient(command, terminal, async (client) =>
          print(await client.request<Schedule>('PATCH', pathOf(id), { json: { enabled } })),
        );
      });
  }

  schedules
    .command('trigger')
    .description('start a run of it now, out of turn')
    .argument('<id>')
    .action(async (id: string, _options: unknown, command: Command) => {
      await withClient(command, terminal, async (client) => {
        const run = await client.request<Run>('POST', `${pathOf(id)}/trigger`);
        stdout.write(`${run.id} ${run.state}\n`);
      });
    });

  schedules
    .command('delete')
    .description('delete a schedule; its runs stay')
    .argument('<id>')
    .action(async (id: string, _options: unknown, command: Command) => {
      await withClient(command, terminal, async (client) => {
        await client.request('DELETE', pathOf(id));
        stdout.write(`${id} deleted\n`);
      });
    });
}

async function bodyOf(workflow: string, options: CreateOptions, terminal: Terminal): Promise<unknown> {
  const {
    input,
    cron,
    everyMs,
    timezone,
    missed,
    overlap,
    priority,
    tag: tags,
    name,
    startAt,
    endAt,
    paused,
  } = options;
  return {
    workflow,
    input: await readJsonInput(input, terminal),
    ...(everyMs !== undefined && { everyMs: toNumber(everyMs) }),
    ...(priority !== undefined && { priority: toNumber(priority) }),
    ...(paused && { enabled: false }),
    // What was not given is undefined, and left out of the JSON.
    cron,
    timezone,
    missed,
    overlap,
    tags,
    name,
    startAt,
    endAt,
  };
}

function pathOf(id: string): string {
  return `/api/schedules/${encodeURIComponent(id)}`;
}

function rowOf({ id, name, workflow, cron, everyMs, timezone, state, nextAt, lastError }: Schedule): string[] {
  const when = cron === null ? `every ${everyMs} ms` : `${cron} ${timezone}`;
  return [id, name ?? '', workflow, when, state, nextAt ?? '', lastError ?? ''];
}
