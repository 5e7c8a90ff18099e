import type { ClearedCache, SearchCacheStats } from '@flowstate/contracts';
import type { Command } from 'commander';
import { withClient } from './connection.ts';
import { formatTable } from './table.ts';
import type { Terminal } from './terminal.ts';

/** `flowstate cache stats|clear`. */
export function addCacheCommand(program: Command, terminal: Terminal): void {
  const cache = program.command('cache').description('the cache of vector search');
  const { stdout } = terminal;

  cache
    .command('stats')
    .description('what it did for the gateway that answers, and what Redis holds')
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: boolean }, self: Command) => {
      await withClient(self, terminal, async (client) => {
        const stats = await client.request<SearchCacheStats>('GET', '/api/admin/cache');
        stdout.write(json ? `${JSON.stringify(stats, null, 2)}\n` : formatTable(['WHAT', 'VALUE'], rowsOf(stats)));
      });
    });

  cache
    .command('clear')
    .description('give no cached answer of before any more, in any gateway, from now on')
    .option('--collection <name>', 'only those of one collection')
    .requiredOption('--reason <text>', 'why; it stands in the audit log')
    .action(async (json: { collection?: string; reason: string }, self: Command) => {
      await withClient(self, terminal, async (client) => {
        const { collections } = await client.request<ClearedCache>('POST', '/api/admin/cache/clear', { json });
        stdout.write(`cleared: ${collections.join(', ') || 'there are no collections'}\n`);
      });
    });
}

function rowsOf({ gateway, redis }: SearchCacheStats): string[][] {
  const counts = (prefix: string, values: Record<string, number>) =>
    Object.entries(values).map(([name, value]) => [`${prefix} ${name}`, String(value)]);
  return [
    ...counts('searches:', gateway.requests),
    ...counts('embeddings:', gateway.embeddings),
    ['hits in the gateway itself', String(gateway.hitsHere)],
    ['answers in the gateway', `${gateway.here.entries}, ${gateway.here.bytes} bytes`],
    ['evicted in the gateway', String(gateway.evictedHere)],
    ['bytes read, written', `${gateway.bytesRead}, ${gateway.bytesWritten}`],
    ['redis', redis.state],
    ...(redis.state === 'down'
      ? []
      : [
          ['redis keys', String(redis.keys)],
          ['redis bytes', `${redis.usedBytes} of ${redis.maxBytes === 0 ? 'unlimited' : redis.maxBytes}`],
          ['redis evicted', String(redis.evicted)],
        ]),
  ];
}
