import { logLevels, serviceNames, type LogLevelBody, type ServiceLogLevel } from '@flowstate/contracts';
import { Argument, Option, type Command } from 'commander';
import { withClient } from './connection.ts';
import { readDuration } from './duration.ts';
import { formatTable } from './table.ts';
import { CommandError, exitCodes, type Terminal } from './terminal.ts';

type Options = { service?: string[]; for?: string; reason?: string; reset?: boolean; json?: boolean };
type Answer = { items: ServiceLogLevel[] };

const path = '/api/admin/log-levels';

/** `flowstate log-level [level]`. */
export function addLogLevelCommand(program: Command, terminal: Terminal): void {
  program
    .command('log-level')
    .description('how much the services log: show it, or change it while they run')
    .addArgument(new Argument('[level]', 'the least severe level that is written').choices([...logLevels]))
    .addOption(new Option('--service <name...>', 'only of these (all three)').choices([...serviceNames]))
    .option('--for <time>', 'then back by itself, e.g. 15m')
    .option('--reason <text>', 'why; it stands in the audit log')
    .option('--reset', 'back to what each process was started with (LOG_LEVEL)')
    .option('--json', 'as JSON')
    .action(async (level: LogLevelBody['level'] | undefined, options: Options, self: Command) => {
      if (options.reset === true && level !== undefined) {
        throw new CommandError('--reset takes no level', exitCodes.usage);
      }
      const body = level === undefined ? null : bodyOf(level, options);
      await withClient(self, terminal, async (client) => {
        let answer: Answer;
        if (body !== null) answer = await client.request<Answer>('PUT', path, { json: body });
        else if (options.reset === true) {
          for (const service of options.service ?? ['']) {
            await client.request('DELETE', service === '' ? path : `${path}?service=${service}`);
          }
          answer = await client.request<Answer>('GET', path);
        } else answer = await client.request<Answer>('GET', path);
        terminal.stdout.write(
          options.json === true ? `${JSON.stringify(answer.items, null, 2)}\n` : formatTable(columns, rowsOf(answer)),
        );
      });
    });
}

const columns = ['SERVICE', 'LEVEL', 'UNTIL', 'REASON', 'BY'];

function bodyOf(level: LogLevelBody['level'], { service, for: time, reason }: Options): LogLevelBody {
  if (reason === undefined) throw new CommandError('--reason is needed to change a level', exitCodes.usage);
  return {
    level,
    reason,
    ...(service !== undefined && { services: service as NonNullable<LogLevelBody['services']> }),
    ...(time !== undefined && { seconds: readDuration(time, '--for') }),
  };
}

function rowsOf({ items }: Answer): string[][] {
  return items.map(({ service, level, until, reason, updatedBy }) => [
    service,
    level ?? 'LOG_LEVEL of each process',
    until ?? (level === null ? '' : 'taken back'),
    reason ?? '',
    updatedBy ?? '',
  ]);
}
