import type { Run } from '@flowstate/contracts';
import type { Command } from 'commander';
import { addExplainCommand } from './explain-command.ts';
import { connect, type ConnectionOptions } from './connection.ts';
import { describeNews, followRun } from './follow-run.ts';
import type { GatewayClient } from './gateway-client.ts';
import { readJsonInput, toNumber } from './json-input.ts';
import { exitCodes, type Terminal } from './terminal.ts';

type Options = ConnectionOptions & {
  input: string;
  wait?: boolean;
  follow?: boolean;
  priority?: string;
  tag?: string[];
  idempotencyKey?: string;
};

/** `flowstate run <workflow>`. */
export function addRunCommand(program: Command, terminal: Terminal, done: (exitCode: number) => void): void {
  const command = program
    .command('run')
    .description('start a run; prints it as JSON')
    .argument('<workflow>', 'its name, as in GET /api/workflows')
    .option('--input <json>', 'the input; @file reads a file, - standard input', '{}')
    .option('--wait', `wait for the end; exits with ${exitCodes.failed} unless it completed`)
    .option('--follow', 'like --wait, and tell every step on stderr as it happens')
    .option('--priority <0-9>', '0 is served first')
    .option('--tag <tag...>', 'tags to find it by')
    .option('--idempotency-key <key>', 'the same key and input within a day start no second run')
    .action(async (workflow: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const input = await readJsonInput(options.input, terminal);
      const client = await connect(options, terminal);
      try {
        done(await startRun(client, workflow, input, options, terminal));
      } finally {
        await client.close();
      }
    });
  addExplainCommand(command, terminal);
}

async function startRun(
  client: GatewayClient,
  workflow: string,
  input: unknown,
  { wait, follow, priority, tag, idempotencyKey }: Options,
  { stdout, stderr }: Terminal,
): Promise<number> {
  let run = await client.request<Run>('POST', `/api/workflows/${encodeURIComponent(workflow)}/runs`, {
    json: { input, ...(priority !== undefined && { priority: toNumber(priority) }), ...(tag && { tags: tag }) },
    headers: idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey },
  });
  if (wait || follow) {
    stderr.write(`Run ${run.id}\n`);
    const begin = Date.parse(run.createdAt);
    run = await followRun(client, run.id, (news) => {
      if (follow) stderr.write(`  ${describeNews(news, begin)}\n`);
    });
  }
  stdout.write(`${JSON.stringify(run, null, 2)}\n`);
  if (!wait && !follow) return 0;
  if (run.state !== 'completed')
    stderr.write(`The run ended ${run.state}: ${run.error?.message ?? 'no reason given'}\n`);
  return run.state === 'completed' ? 0 : exitCodes.failed;
}
