import { limitScopes, type Limit } from '@flowstate/contracts';
import { Argument, type Command } from 'commander';
import { withClient } from './connection.ts';
import { unlessMissing } from './gateway-client.ts';
import { formatTable } from './table.ts';
import { CommandError, exitCodes, type Terminal } from './terminal.ts';

const path = '/api/admin/limits';

/** `flowstate limits list|set|reset`. */
export function addLimitsCommand(program: Command, terminal: Terminal): void {
  const limits = program.command('limits').description('how much principals and workflows may have at a time');
  const { stdout } = terminal;
  const scope = () => new Argument('<scope>', 'whom it is for').choices([...limitScopes]);

  limits
    .command('list')
    .description('limits that were set')
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: boolean }, self: Command) => {
      await withClient(self, terminal, async (client) => {
        const { items } = await client.request<{ items: Limit[] }>('GET', path);
        stdout.write(
          json ? `${JSON.stringify(items, null, 2)}\n` : formatTable(['SCOPE', 'SUBJECT', 'LIMITS'], items.map(rowOf)),
        );
      });
    });

  limits
    .command('set')
    .description('set the limits of one scope, in place of those it had; followed within a second')
    .addArgument(scope())
    .argument('<figures...>', 'name=number, such as maxConcurrent=10')
    .option('--subject <id>', 'the principal, role or workflow')
    .action(async (of: string, pairs: string[], { subject }: { subject?: string }, self: Command) => {
      const figures = Object.fromEntries(pairs.map(readFigure));
      await withClient(self, terminal, async (client) => {
        const json = { scope: of, ...(subject !== undefined && { subject }), ...figures };
        const set = await client.request<Limit>('PUT', path, { json });
        stdout.write(formatTable(['SCOPE', 'SUBJECT', 'LIMITS'], [rowOf(set)]));
      });
    });

  limits
    .command('reset')
    .description('take the limits of one scope back')
    .addArgument(scope())
    .option('--subject <id>', 'the principal, role or workflow')
    .action(async (of: string, { subject = '' }: { subject?: string }, self: Command) => {
      await withClient(self, terminal, async (client) => {
        const query = new URLSearchParams({ scope: of, subject }).toString();
        await client.request('DELETE', `${path}?${query}`).catch(unlessMissing);
        stdout.write(`${[of, subject].join(' ').trim()} has no limits of its own\n`);
      });
    });
}

function readFigure(pair: string): [string, number] {
  const [, name, value] = /^([a-z]\w*)=(-?\d+(?:\.\d+)?)$/i.exec(pair) ?? [];
  if (name === undefined || value === undefined) {
    throw new CommandError(`${JSON.stringify(pair)} must be name=number, such as maxConcurrent=10`, exitCodes.usage);
  }
  return [name, Number(value)];
}

function rowOf({ scope, subject, ...figures }: Limit): string[] {
  const set = Object.entries(figures).filter(([, value]) => typeof value === 'number');
  return [scope, subject, set.map(([name, value]) => `${name}=${value}`).join(' ')];
}
