import type { CollectionDetails } from '@flowstate/contracts';
import type { Command } from 'commander';
import { withClient } from './connection.ts';
import { toNumber } from './json-input.ts';
import { formatTable } from './table.ts';
import type { Terminal } from './terminal.ts';

type Settings = { visibility?: string; owner?: string; cacheTtl?: string };

/** `flowstate collections list|set|grant|revoke`. */
export function addCollectionsCommand(program: Command, terminal: Terminal): void {
  const collections = program.command('collections').description('collections of documents: whose, and who sees them');
  const { stdout } = terminal;
  const path = (name: string) => `/api/collections/${encodeURIComponent(name)}`;
  const header = ['NAME', 'VISIBILITY', 'OWNER', 'MODEL', 'CACHED', 'GRANTS'];
  const print = (items: CollectionDetails[]) => void stdout.write(formatTable(header, items.map(rowOf)));

  collections
    .command('list')
    .description('those you see, newest first, 200 at most')
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: boolean }, self: Command) => {
      await withClient(self, terminal, async (client) => {
        const { items } = await client.request<{ items: CollectionDetails[] }>('GET', '/api/collections?limit=200');
        if (json) stdout.write(`${JSON.stringify(items, null, 2)}\n`);
        else print(items);
      });
    });

  collections
    .command('set')
    .description('make a collection, or change its settings')
    .argument('<name>')
    .option('--visibility <which>', 'shared or private')
    .option('--owner <user id>', 'whose it is')
    .option('--cache-ttl <seconds>', 'how long its answers are cached at most; `default`: as configured')
    .action(async (name: string, { visibility, owner: ownerId, cacheTtl }: Settings, self: Command) => {
      const cacheTtlSeconds =
        cacheTtl === undefined ? {} : { cacheTtlSeconds: cacheTtl === 'default' ? null : toNumber(cacheTtl) };
      const json = { visibility, ownerId, ...cacheTtlSeconds };
      await withClient(self, terminal, async (client) =>
        print([await client.request<CollectionDetails>('PUT', path(name), { json })]),
      );
    });

  for (const [command, method, description] of [
    ['grant', 'PUT', 'let a user, or all of a role, see a private collection'],
    ['revoke', 'DELETE', 'take it back; no answer of before is given to them'],
  ] as const) {
    collections
      .command(command)
      .description(description)
      .argument('<name>')
      .argument('<grantee>', 'user:<id> or role:<role>')
      .action(async (name: string, grantee: string, _options: unknown, self: Command) => {
        const [kind = '', id = ''] = grantee.split(/:(.*)/s);
        const grant = `${path(name)}/grants/${encodeURIComponent(`${kind}s`)}/${encodeURIComponent(id)}`;
        await withClient(self, terminal, async (client) =>
          print([await client.request<CollectionDetails>(method, grant)]),
        );
      });
  }
}

function rowOf({ name, visibility, ownerId, model, dimensions, cacheTtlSeconds, grants }: CollectionDetails): string[] {
  return [
    name,
    visibility,
    ownerId ?? '',
    model === null ? '' : `${model} (${dimensions})`,
    cacheTtlSeconds === null ? 'as configured' : `${cacheTtlSeconds} s`,
    (grants ?? []).map(({ kind, grantee }) => `${kind.slice(0, -1)}:${grantee}`).join(' '),
  ];
}
