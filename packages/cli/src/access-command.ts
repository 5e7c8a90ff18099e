import { roles, type AccessOverride, type RoleOwner, type RouteAccess } from '@flowstate/contracts';
import type { Command } from 'commander';
import { withClient } from './connection.ts';
import { readDuration } from './duration.ts';
import { formatTable } from './table.ts';
import { CommandError, exitCodes, type Terminal } from './terminal.ts';

/** `flowstate access list|lock|release|routes|owners`. */
export function addAccessCommand(program: Command, terminal: Terminal): void {
  const access = program.command('access').description('who may call what: lockdowns, and who answers for each role');
  const { stdout } = terminal;
  const print = (items: AccessOverride[]) =>
    void stdout.write(formatTable(['ID', 'TARGET', 'ROLES LEFT', 'UNTIL', 'BY', 'REASON'], items.map(rowOf)));

  access
    .command('list')
    .description('lockdowns in force')
    .option('--all', 'ended ones too')
    .option('--json', 'as JSON')
    .action(async ({ all = false, json }: { all?: boolean; json?: boolean }, self: Command) => {
      await withClient(self, terminal, async (client) => {
        const path = `/api/admin/access?limit=200&all=${String(all)}`;
        const { items } = await client.request<{ items: AccessOverride[] }>('GET', path);
        if (json) stdout.write(`${JSON.stringify(items, null, 2)}\n`);
        else print(items);
      });
    });

  access
    .command('lock')
    .description('leave routes to some roles only, for a while; nobody gains access')
    .argument('<target>', 'a permission (runs:operate), a route ("POST /api/documents") or all below ("* /api/runs/*")')
    .option('--roles <role...>', `who keeps access: ${roles.join(', ')}; without it nobody`)
    .requiredOption('--reason <text>', 'why; it stands in the audit log')
    .option('--for <time>', 'until it ends by itself: 90s, 15m, 4h, 2d', '1h')
    .action(async (target: string, options: { roles?: string[]; reason: string; for: string }, self: Command) => {
      const left = (options.roles ?? []).flatMap((text) => text.split(',')).filter(Boolean);
      const json = { target, roles: left, reason: options.reason, seconds: readDuration(options.for, '--for') };
      await withClient(self, terminal, async (client) => {
        print([await client.request<AccessOverride>('POST', '/api/admin/access', { json })]);
      });
    });

  access
    .command('release')
    .description('end a lockdown now')
    .argument('<id>')
    .action(async (id: string, _options: unknown, self: Command) => {
      await withClient(self, terminal, async (client) => {
        const { target } = await client.request<AccessOverride>(
          'DELETE',
          `/api/admin/access/${encodeURIComponent(id)}`,
        );
        stdout.write(`${target} is as the table says again\n`);
      });
    });

  access
    .command('routes')
    .description('every route with the roles that may call it now')
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: boolean }, self: Command) => {
      await withClient(self, terminal, async (client) => {
        const { items } = await client.request<{ items: RouteAccess[] }>('GET', '/api/admin/access/routes');
        if (json) stdout.write(`${JSON.stringify(items, null, 2)}\n`);
        else stdout.write(formatTable(['ROUTE', 'PERMISSION', 'ROLES', 'RUNS', ''], items.map(routeRow)));
      });
    });

  access
    .command('owners')
    .description('who in the business answers for each role; with a role and --owner, names them')
    .argument('[role]')
    .option('--owner <name>', 'who answers for the role')
    .option('--contact <how>', 'how to reach them')
    .option('--json', 'as JSON')
    .action(async (role: string | undefined, options: OwnerOptions, self: Command) => {
      const { owner, contact, json } = options;
      if ((role === undefined) !== (owner === undefined)) {
        throw new CommandError('access owners: to name somebody give both a role and --owner', exitCodes.usage);
      }
      await withClient(self, terminal, async (client) => {
        if (role !== undefined) {
          const path = `/api/admin/access/owners/${encodeURIComponent(role)}`;
          await client.request('PUT', path, { json: { owner, ...(contact !== undefined && { contact }) } });
        }
        const { items } = await client.request<{ items: RoleOwner[] }>('GET', '/api/admin/access/owners');
        if (json) stdout.write(`${JSON.stringify(items, null, 2)}\n`);
        else stdout.write(formatTable(['ROLE', 'OWNER', 'CONTACT'], items.map(ownerRow)));
      });
    });
}

type OwnerOptions = { owner?: string; contact?: string; json?: boolean };

function rowOf({ id, target, roles: left, expiresAt, releasedAt, author, reason }: AccessOverride): string[] {
  const until = releasedAt === null ? expiresAt : `released ${releasedAt}`;
  return [id, target, left.join(',') || 'nobody', until, author, reason];
}

function routeRow({ route, permission, roles: allowed, locked, closedToRuns }: RouteAccess): string[] {
  const who = typeof allowed === 'string' ? allowed : allowed.join(',') || 'nobody';
  return [route, permission ?? '', who, closedToRuns === null ? '' : 'no', locked ? 'LOCKED DOWN' : ''];
}

function ownerRow({ role, owner, contact }: RoleOwner): string[] {
  return [role, owner ?? 'nobody yet', contact ?? ''];
}
