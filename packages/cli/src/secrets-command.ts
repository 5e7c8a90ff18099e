import type { SecretAge } from '@flowstate/contracts';
import type { Command } from 'commander';
import { withClient } from './connection.ts';
import { toNumber } from './json-input.ts';
import { formatTable } from './table.ts';
import { exitCodes, type Terminal } from './terminal.ts';

/** `flowstate secrets status|set`. */
export function addSecretsCommand(program: Command, terminal: Terminal, done: (code: number) => void): void {
  const secrets = program
    .command('secrets')
    .description('the rotation schedule: how old each secret is, and may become');
  const { stdout } = terminal;
  const print = (items: SecretAge[]) =>
    void stdout.write(formatTable(['SECRET', 'LAST ROTATED', 'AGE', 'MAX AGE', 'DUE', 'STATE'], items.map(rowOf)));

  secrets
    .command('status')
    .description('last rotation (or when it was first seen), age and due date; exit code 1 when one is over age')
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: boolean }, self: Command) => {
      await withClient(self, terminal, async (client) => {
        const { items } = await client.request<{ items: SecretAge[] }>('GET', '/api/admin/secrets');
        if (json) stdout.write(`${JSON.stringify(items, null, 2)}\n`);
        else print(items);
        if (items.some(({ state }) => state === 'over-age')) done(exitCodes.failed);
      });
    });

  secrets
    .command('set')
    .description('how old a secret may become')
    .argument('<name>', 'JWT_SECRET, say')
    .requiredOption('--max-age-days <n>', 'days from one rotation to the next')
    .action(async (name: string, { maxAgeDays }: { maxAgeDays: string }, self: Command) => {
      await withClient(self, terminal, async (client) => {
        const json = { maxAgeDays: toNumber(maxAgeDays) };
        print([await client.request<SecretAge>('PUT', `/api/admin/secrets/${encodeURIComponent(name)}`, { json })]);
      });
    });
}

function rowOf({ name, lastRotatedAt, ageSeconds, maxAgeDays, dueAt, rotating, state }: SecretAge): string[] {
  const age = ageSeconds === null ? '' : `${Math.floor(ageSeconds / 86_400)} d`;
  const shown = `${state}${rotating ? ', rotation under way' : ''}`;
  return [name, lastRotatedAt ?? 'never seen', age, `${maxAgeDays} d`, dueAt ?? '', shown];
}
