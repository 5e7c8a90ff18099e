import {
  budgetLevels,
  budgetPeriods,
  budgetPolicies,
  type Budget,
  type BudgetState,
  type BudgetBody,
} from '@flowstate/contracts';
import { Argument, Option, type Command } from 'commander';
import { withClient } from './connection.ts';
import { formatTable } from './table.ts';
import { CommandError, exitCodes, type Terminal } from './terminal.ts';

const path = '/api/admin/budgets';

type SetOptions = {
  subject?: string;
  tokens?: number;
  usd?: number;
  atLimit: (typeof budgetPolicies)[number];
  cheaperModel?: string;
};

/** `flowstate budgets list|set|remove`. */
export function addBudgetsCommand(program: Command, terminal: Terminal): void {
  const budgets = program.command('budgets').description('what language models may cost');
  const { stdout } = terminal;
  const level = () => new Argument('<level>', 'what it counts').choices([...budgetLevels]);
  const period = () => new Argument('<period>', 'UTC; a run has only a total').choices([...budgetPeriods]);
  const subject = ['--subject <id>', 'whose it is; without: of each that has none of its own'] as const;

  budgets
    .command('list')
    .description('budgets that were set, and what is spent of them')
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: boolean }, self: Command) => {
      await withClient(self, terminal, async (client) => {
        const { items } = await client.request<{ items: BudgetState[] }>('GET', path);
        const head = ['LEVEL', 'SUBJECT', 'PERIOD', 'AT MOST', 'SPENT', 'AT THE LIMIT', 'PAUSED RUNS'];
        stdout.write(json ? `${JSON.stringify(items, null, 2)}\n` : formatTable(head, items.map(rowOf)));
      });
    });

  budgets
    .command('set')
    .description('set a budget, in place of the one it had')
    .addArgument(level())
    .addArgument(period())
    .option(...subject)
    .option('--tokens <number>', 'input and output tokens at most', readNumber)
    .option('--usd <number>', 'US dollars at most', readNumber)
    .addOption(
      new Option('--at-limit <policy>', 'for a call without room').choices([...budgetPolicies]).default('fail'),
    )
    .option('--cheaper-model <name>', 'for --at-limit cheaper')
    .action(async (of: Budget['level'], per: Budget['period'], options: SetOptions, self: Command) => {
      const { subject: whose, tokens, usd, atLimit, cheaperModel } = options;
      const json: BudgetBody = {
        level: of,
        period: per,
        atLimit,
        ...(whose !== undefined && { subject: whose }),
        ...(tokens !== undefined && { maxTokens: tokens }),
        ...(usd !== undefined && { maxUsd: usd }),
        ...(cheaperModel !== undefined && { cheaperModel }),
      };
      await withClient(self, terminal, async (client) => {
        const set = await client.request<Budget>('PUT', path, { json });
        stdout.write(`${set.level} ${set.subject || 'each'}, ${set.period}: at most ${atMost(set)}\n`);
      });
    });

  budgets
    .command('remove')
    .description('take a budget back')
    .addArgument(level())
    .addArgument(period())
    .option(...subject)
    .action(async (of: string, per: string, { subject: whose = '' }: { subject?: string }, self: Command) => {
      await withClient(self, terminal, async (client) => {
        const query = new URLSearchParams({ level: of, subject: whose, period: per });
        await client.request('DELETE', `${path}?${query.toString()}`);
        stdout.write(`${of} ${whose || 'each'} has no budget of the ${per} any more\n`);
      });
    });
}

function readNumber(text: string): number {
  const number = Number(text);
  if (text.trim() === '' || Number.isNaN(number)) {
    throw new CommandError(`${JSON.stringify(text)} must be a number`, exitCodes.usage);
  }
  return number;
}

function atMost({ maxTokens, maxUsd }: Budget): string {
  const most = [maxTokens === null ? [] : `${maxTokens} tokens`, maxUsd === null ? [] : `${maxUsd} USD`];
  return most.flat().join(', ');
}

function rowOf(budget: BudgetState): string[] {
  const { level, subject, period, atLimit, cheaperModel, spentTokens, spentUsd, pausedRuns } = budget;
  const spent = `${spentTokens} tokens, ${spentUsd} USD`;
  const policy = cheaperModel === null ? atLimit : `${atLimit}: ${cheaperModel}`;
  return [level, subject || 'each', period, atMost(budget), spent, policy, String(pausedRuns)];
}
