import { usageGroups, type Usage } from '@flowstate/contracts';
import { Option, type Command } from 'commander';
import { withClient } from './connection.ts';
import { formatTable } from './table.ts';
import type { Terminal } from './terminal.ts';

type Options = {
  by: (typeof usageGroups)[number];
  principal?: string;
  workflow?: string;
  model?: string;
  run?: string;
  from?: string;
  to?: string;
  limit?: string;
  json?: boolean;
};

/** `flowstate usage`. */
export function addUsageCommand(program: Command, terminal: Terminal): void {
  program
    .command('usage')
    .description('tokens and cost of language models')
    .addOption(new Option('--by <thing>', 'what a line is of').choices([...usageGroups]).default('day'))
    .option('--principal <id>', "of one principal's runs")
    .option('--workflow <name>', 'of one workflow')
    .option('--model <name>', 'of one model')
    .option('--run <id>', 'of one run')
    .option('--from <day>', 'YYYY-MM-DD, UTC')
    .option('--to <day>', 'the last day that counts')
    .option('--limit <number>', 'lines at most')
    .option('--json', 'as JSON')
    .action(async ({ json, principal, run, ...rest }: Options, self: Command) => {
      const asked = { ...rest, principalId: principal, runId: run };
      const given = Object.entries(asked).filter((pair): pair is [string, string] => pair[1] !== undefined);
      await withClient(self, terminal, async (client) => {
        const query = new URLSearchParams(given).toString();
        const { items } = await client.request<{ items: Usage[] }>('GET', `/api/usage?${query}`);
        const head = [rest.by.toUpperCase(), 'CALLS', 'INPUT', 'OUTPUT', 'USD', 'UNSETTLED', 'RESERVED'];
        terminal.stdout.write(json ? `${JSON.stringify(items, null, 2)}\n` : formatTable(head, items.map(rowOf)));
      });
    });
}

function rowOf({ key, calls, inputTokens, outputTokens, costUsd, unsettledCalls, reservedTokens }: Usage): string[] {
  const figures = [calls, inputTokens, outputTokens, costUsd ?? 'no price', unsettledCalls, reservedTokens];
  return [key, ...figures.map(String)];
}
