import { roles, type AdminUser } from '@flowstate/contracts';
import { Option, type Command } from 'commander';
import { readPassword, withClient } from './connection.ts';
import type { GatewayClient } from './gateway-client.ts';
import { formatTable } from './table.ts';
import { CommandError, exitCodes, type Terminal } from './terminal.ts';

type Change = { name?: string; role?: string; newPasswordFile?: string };

/** `flowstate users list|create|change|disable|enable`. */
export function addUsersCommand(program: Command, terminal: Terminal): void {
  const users = program.command('users').description('people and service accounts');
  const { stdout } = terminal;
  const print = (items: AdminUser[]) =>
    void stdout.write(formatTable(['ID', 'EMAIL', 'NAME', 'ROLE', 'PASSWORD', 'DISABLED'], items.map(rowOf)));
  const role = (description: string) => new Option('--role <role>', description).choices([...roles]);

  users
    .command('list')
    .description('users, newest first')
    .addOption(role('only with this role'))
    .option('--limit <n>', 'at most so many, up to 200', '50')
    .option('--json', 'as JSON')
    .action(async ({ json, ...filter }: { role?: string; limit: string; json?: boolean }, self: Command) => {
      await withClient(self, terminal, async (client) => {
        const path = `/api/admin/users?${new URLSearchParams(filter).toString()}`;
        const { items } = await client.request<{ items: AdminUser[] }>('GET', path);
        if (json) stdout.write(`${JSON.stringify(items, null, 2)}\n`);
        else print(items);
      });
    });

  users
    .command('create')
    .description('add a user; without a password it is a service account, which works by API keys')
    .argument('<email>')
    .addOption(role('what they may do').makeOptionMandatory())
    .requiredOption('--name <name>', 'what to call them')
    .option('--new-password-file <file>', 'a file with their password')
    .action(async (email: string, options: Change, self: Command) => {
      const json = { email, ...(await bodyOf(options)) };
      await withClient(self, terminal, async (client) => {
        print([await client.request<AdminUser>('POST', '/api/admin/users', { json })]);
      });
    });

  users
    .command('change')
    .description('change name, role or password; a new password ends their sessions')
    .argument('<user>', 'id or email')
    .addOption(role('what they may do from now on'))
    .option('--name <name>', 'what to call them')
    .option('--new-password-file <file>', 'a file with their new password')
    .action(async (user: string, options: Change, self: Command) => {
      const json = await bodyOf(options);
      if (Object.keys(json).length === 0) {
        throw new CommandError('users change: say what, by --role, --name or --new-password-file', exitCodes.usage);
      }
      await change(self, user, json);
    });

  for (const [name, disabled, description] of [
    ['disable', true, 'end their sessions and let them do nothing more'],
    ['enable', false, 'let them log in again'],
  ] as const) {
    users
      .command(name)
      .description(description)
      .argument('<user>', 'id or email')
      .action((user: string, _options: unknown, self: Command) => change(self, user, { disabled }));
  }

  async function change(self: Command, user: string, json: object): Promise<void> {
    await withClient(self, terminal, async (client) => {
      const id = await userIdOf(client, user);
      print([await client.request<AdminUser>('PATCH', `/api/admin/users/${encodeURIComponent(id)}`, { json })]);
    });
  }
}

/** A user named by id or email. */
export async function userIdOf(client: GatewayClient, user: string): Promise<string> {
  if (!user.includes('@')) return user;
  const path = `/api/admin/users?${new URLSearchParams({ email: user }).toString()}`;
  const { items } = await client.request<{ items: AdminUser[] }>('GET', path);
  if (items[0] === undefined) throw new CommandError(`There is no user ${user}`);
  return items[0].id;
}

async function bodyOf({ name, role, newPasswordFile }: Change): Promise<Record<string, string>> {
  return {
    ...(name !== undefined && { name }),
    ...(role !== undefined && { role }),
    ...(newPasswordFile !== undefined && { password: await readPassword(newPasswordFile) }),
  };
}

function rowOf({ id, email, name, role, hasPassword, disabledAt, containedAt }: AdminUser): string[] {
  return [
    id,
    email,
    name,
    role,
    hasPassword ? 'yes' : 'no',
    disabledAt ?? (containedAt === null ? '' : `contained ${containedAt}`),
  ];
}
