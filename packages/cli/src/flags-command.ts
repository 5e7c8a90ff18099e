import type { Flag } from '@flowstate/contracts';
import type { Command } from 'commander';
import { withClient } from './connection.ts';
import { unlessMissing } from './gateway-client.ts';
import { toNumber } from './json-input.ts';
import { formatTable } from './table.ts';
import type { Terminal } from './terminal.ts';

/** `flowstate flags list|set|reset`. */
export function addFlagsCommand(program: Command, terminal: Terminal): void {
  const flags = program.command('flags').description('switches and limits that change while everything runs');
  const { stdout } = terminal;
  const path = (name: string) => `/api/admin/flags/${encodeURIComponent(name)}`;
  const print = (items: Flag[]) =>
    void stdout.write(formatTable(['NAME', 'VALUE', 'DEFAULT', 'WHAT', 'WHY IT DIFFERS'], items.map(rowOf)));

  flags
    .command('list')
    .description('all flags')
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: boolean }, self: Command) => {
      await withClient(self, terminal, async (client) => {
        const { items } = await client.request<{ items: Flag[] }>('GET', '/api/admin/flags');
        if (json) stdout.write(`${JSON.stringify(items, null, 2)}\n`);
        else print(items);
      });
    });

  flags
    .command('set')
    .description('set a flag; every gateway follows within a second')
    .argument('<name>')
    .argument('<value>', 'on, off, or a number')
    .requiredOption('--reason <text>', 'why; it stands in the audit log')
    .action(async (name: string, text: string, { reason }: { reason: string }, self: Command) => {
      const value = ['on', 'true'].includes(text) ? true : ['off', 'false'].includes(text) ? false : toNumber(text);
      await withClient(self, terminal, async (client) => {
        print([await client.request<Flag>('PUT', path(name), { json: { value, reason } })]);
      });
    });

  flags
    .command('reset')
    .description('back to the default, where it is not there already')
    .argument('<name>')
    .action(async (name: string, _options: unknown, self: Command) => {
      await withClient(self, terminal, async (client) => {
        const flag = await client.request<Flag>('DELETE', path(name)).catch(unlessMissing);
        if (flag === undefined) stdout.write(`${name} has its default already\n`);
        else print([flag]);
      });
    });
}

function rowOf({ name, value, default: normal, description, reason }: Flag): string[] {
  return [name, show(value), show(normal), description, reason ?? ''];
}

function show(value: boolean | number): string {
  return typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value);
}
