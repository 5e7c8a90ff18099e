import type { ReindexStarted } from '@flowstate/contracts';
import type { Command } from 'commander';
import { withClient } from './connection.ts';
import { followRun } from './follow-run.ts';
import { addSearchEvalCommands } from './search-eval-commands.ts';
import { CommandError, exitCodes, type Terminal } from './terminal.ts';

/** `flowstate search eval|eval-recommendations|reindex`. */
export function addSearchCommand(program: Command, terminal: Terminal, done: (exitCode: number) => void): void {
  const search = program.command('search').description('vector search');
  const { stdout } = terminal;
  addSearchEvalCommands(search, terminal, done);

  search
    .command('reindex')
    .description('embed a collection anew by another model, while searches go on by the one it has')
    .argument('<collection>')
    .requiredOption('--model <name>', 'the model, which gateway and workers must know')
    .option('--follow', 'tell how far it is, until it is done')
    .action(async (collection: string, { model, follow }: { model: string; follow?: boolean }, self: Command) => {
      await withClient(self, terminal, async (client) => {
        const path = `/api/collections/${encodeURIComponent(collection)}/reindex`;
        const { run } = await client.request<ReindexStarted>('POST', path, { json: { model } });
        stdout.write(`run ${run.id}\n`);
        if (follow !== true) return;
        const { state } = await followRun(client, run.id, ({ type, data }) => {
          if (type === 'progress') stdout.write(`${String(data['documents'])} of ${String(data['of'])} documents\n`);
        });
        stdout.write(`${state}\n`);
        if (state !== 'completed') throw new CommandError(`The run ${state}`, exitCodes.failed);
      });
    });
}
