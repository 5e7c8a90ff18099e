import { apiKeyScopes, type ApiKeyInfo, type NewKeyAnswer } from '@flowstate/contracts';
import { Option, type Command } from 'commander';
import { withClient } from './connection.ts';
import { toNumber } from './json-input.ts';
import { addSigningKeyCommands } from './signing-keys-command.ts';
import { formatTable } from './table.ts';
import type { Terminal } from './terminal.ts';
import { userIdOf } from './users-command.ts';

/** `flowstate keys list|create|revoke`, and for the keys that sign tokens `status|rehearse|kill`. */
export function addKeysCommand(program: Command, terminal: Terminal, done: (code: number) => void): void {
  const keys = program.command('keys').description('API keys, and the keys that sign tokens');
  addSigningKeyCommands(keys, terminal, done);
  const { stdout, stderr } = terminal;

  keys
    .command('list')
    .description('API keys, newest first, ended ones too')
    .option('--user <user>', 'only of this user (id or email)')
    .option('--limit <n>', 'at most so many, up to 200', '50')
    .option('--json', 'as JSON')
    .action(async ({ user, limit, json }: { user?: string; limit: string; json?: boolean }, self: Command) => {
      await withClient(self, terminal, async (client) => {
        const userId = user === undefined ? undefined : await userIdOf(client, user);
        const query = new URLSearchParams({ limit, ...(userId !== undefined && { userId }) });
        const { items } = await client.request<{ items: ApiKeyInfo[] }>('GET', `/api/admin/keys?${query.toString()}`);
        if (json) stdout.write(`${JSON.stringify(items, null, 2)}\n`);
        else
          stdout.write(
            formatTable(['ID', 'PREFIX', 'USER', 'NAME', 'SCOPES', 'EXPIRES', 'USED', 'STATE'], items.map(rowOf)),
          );
      });
    });

  keys
    .command('create')
    .description('make an API key; it is printed this once')
    .argument('<user>', 'whose: id or email')
    .requiredOption('--name <name>', 'to know it by')
    .addOption(new Option('--scope <scope...>', 'what it may be used for').choices([...apiKeyScopes]).default(['api']))
    .option('--days <n>', 'until it expires', '90')
    .action(async (user: string, options: { name: string; scope: string[]; days: string }, self: Command) => {
      await withClient(self, terminal, async (client) => {
        const { name, scope: scopes, days } = options;
        const json = { userId: await userIdOf(client, user), name, scopes, expiresInDays: toNumber(days) };
        const { id, key, expiresAt } = await client.request<NewKeyAnswer>('POST', '/api/admin/keys', { json });
        stderr.write(`Key ${id}, good until ${expiresAt}; it is shown only now:\n`);
        stdout.write(`${key}\n`);
      });
    });

  keys
    .command('revoke')
    .description('end an API key')
    .argument('<id>')
    .action(async (id: string, _options: unknown, self: Command) => {
      await withClient(self, terminal, async (client) => {
        await client.request('DELETE', `/api/admin/keys/${encodeURIComponent(id)}`);
        stdout.write(`${id} ended\n`);
      });
    });
}

function rowOf({ id, prefix, user, name, scopes, expiresAt, lastUsedAt, revokedAt }: ApiKeyInfo): string[] {
  const over = expiresAt !== null && Date.parse(expiresAt) <= Date.now();
  const state = revokedAt !== null ? 'revoked' : over ? 'expired' : 'live';
  return [id, prefix, user, name, scopes.join(','), expiresAt ?? 'never', lastUsedAt ?? 'never', state];
}
