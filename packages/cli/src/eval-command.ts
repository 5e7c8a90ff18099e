import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  graderNames,
  summarize,
  type Evaluation,
  type EvaluationBody,
  type EvaluationDetail,
} from '@flowstate/contracts';
import { InvalidArgumentError, type Command } from 'commander';
import { withClient } from './connection.ts';
import { readAgainst, storedEvaluation, type Against } from './eval/against.ts';
import { compare } from './eval/compare.ts';
import { onlyCases, readDataset, type Dataset } from './eval/dataset.ts';
import { evaluate, type EvaluationPlan } from './eval/evaluate.ts';
import { listOf, reportOf } from './eval/report.ts';
import type { GatewayClient } from './gateway-client.ts';
import { CommandError, exitCodes, type Terminal } from './terminal.ts';

type Options = {
  dataset?: string;
  case?: string[];
  against?: Against;
  offline?: boolean;
  workflowVersion?: string;
  minScore?: number;
  concurrency: number;
  timeout: number;
  store: boolean;
  list?: boolean;
  show?: string;
  json?: boolean;
};

/** Where the shipped datasets are in a clone. */
const shipped = new URL('../../../services/worker/evals/', import.meta.url);

/** `flowstate eval`. */
export function addEvalCommand(program: Command, terminal: Terminal, done: (exitCode: number) => void): void {
  const { stdout, stderr } = terminal;

  program
    .command('eval')
    .description('how well a workflow does on a dataset: runs every case, grades it, compares and keeps the result')
    .argument('[workflow]', 'its name, as in GET /api/workflows')
    .option('--dataset <file>', 'a case a line as JSON (default: services/worker/evals/<workflow>.jsonl)')
    .option('--case <id...>', 'only these cases')
    .option('--workflow-version <version>', 'of the workflow (default: the newest)')
    .option('--offline', 'ask the runs to do without a language model')
    .option(
      '--against <what>',
      'compare with: offline, version:<version> (both are run, too), model:<model> (the newest stored evaluation it ' +
        'answered in), or the id of a stored evaluation',
      readAgainst,
    )
    .option('--min-score <0-1>', `exit with ${exitCodes.failed} when a grader's score is below`, readScore)
    .option('--concurrency <number>', 'runs at a time, 1 to 50', readWhole(50), 4)
    .option('--timeout <seconds>', 'of one run, after which it is cancelled', readWhole(3_600), 300)
    .option('--no-store', 'do not keep the result')
    .option('--list', 'stored evaluations, newest first (of the workflow, if it is named)')
    .option('--show <id>', 'a stored evaluation')
    .option('--json', 'as JSON')
    .addHelpText('after', help)
    .action(async (workflow: string | undefined, options: Options, self: Command) => {
      const print = (text: string, json: unknown) =>
        void stdout.write(options.json ? `${JSON.stringify(json, null, 2)}\n` : text);
      if (options.show !== undefined) {
        const path = `/api/evaluations/${encodeURIComponent(options.show)}`;
        return withClient(self, terminal, async (client) => {
          const evaluation = await client.request<EvaluationDetail>('GET', path);
          print(reportOf(evaluation), evaluation);
        });
      }
      if (options.list) {
        const query = new URLSearchParams({ limit: '200', ...(workflow !== undefined && { workflow }) });
        return withClient(self, terminal, async (client) => {
          const { items } = await client.request<{ items: Evaluation[] }>(
            'GET',
            `/api/evaluations?${query.toString()}`,
          );
          print(listOf(items), items);
        });
      }
      if (workflow === undefined) throw new CommandError('Which workflow? Or --list, or --show <id>.', exitCodes.usage);
      const all = await readCases(workflow, options.dataset);
      const dataset = options.case === undefined ? all : onlyCases(all, options.case);
      return withClient(self, terminal, async (client) => {
        const [result, against] = await runBoth(client, dataset, workflow, options, (line) => stderr.write(line));
        const kept = options.store ? await keep(client, result) : undefined;
        const comparison = against === undefined ? [] : compare(result, against);
        print(reportOf(result, against), {
          id: kept?.id ?? null,
          ...result,
          summary: summarize(result.cases),
          comparison,
        });
        if (kept !== undefined) stderr.write(`Kept as ${kept.id}\n`);
        const worse = comparison.some(({ verdict }) => verdict === 'worse');
        if (worse || isBelow(result, options.minScore)) done(exitCodes.failed);
      });
    });
}

const help = `
A case: {"id": "renewal", "input": {…}, "graders": ["schema", "exact"], "expect": {"exact": {"/answered": true}}}
Graders (${graderNames.join(', ')}), each 0 to 1:
  schema              the output has the shape its workflow publishes
  exact               share of the values in expect.exact, by JSON Pointer ([name=x] picks an item of a list)
  figure-match        figures in expect.figures are right, and each number of a sentence is one that it cites
  citation-supported  quotes stand in their documents, sentences cite, and one of expect.cites is cited (none if empty)
Passing is the full score; its interval is Wilson's. A difference is compared case by case; its interval is a paired
bootstrap (10,000 resamples). Exits with ${exitCodes.failed} when a run did not complete, a score is below --min-score, or one
is worse than what it is compared with beyond chance.
`;

async function runBoth(
  client: GatewayClient,
  dataset: Dataset,
  workflow: string,
  { against, offline, workflowVersion, concurrency, timeout }: Options,
  tell: (line: string) => void,
): Promise<[EvaluationBody, EvaluationBody | EvaluationDetail | undefined]> {
  const plan: EvaluationPlan = {
    workflow,
    ...(workflowVersion !== undefined && { version: workflowVersion }),
    mind: offline ? 'offline' : 'model',
    concurrency,
    timeoutMs: timeout * 1_000,
    onCase: ({ id, state, ms }) => tell(`  ${id} ${state} after ${ms} ms\n`),
  };
  // What is stored is looked up first: a name that is wrong must not cost a whole evaluation.
  const stored =
    against?.kind === 'model' || against?.kind === 'evaluation'
      ? await storedEvaluation(client, against, { workflow, dataset })
      : undefined;
  const result = await evaluate(client, dataset, plan);
  if (against?.kind === 'offline') return [result, await evaluate(client, dataset, { ...plan, mind: 'offline' })];
  if (against?.kind !== 'version') return [result, stored];
  return [result, await evaluate(client, dataset, { ...plan, version: against.version })];
}

async function keep(client: GatewayClient, result: EvaluationBody): Promise<Evaluation> {
  return client.request<Evaluation>('POST', '/api/evaluations', { json: result });
}

function isBelow({ cases }: EvaluationBody, minScore = 0): boolean {
  const { grades, completed } = summarize(cases);
  return completed < cases.length || grades.some(({ score }) => score < minScore);
}

async function readCases(workflow: string, file: string | undefined): Promise<Dataset> {
  if (file === undefined && !/^[a-z0-9][a-z0-9-]*$/.test(workflow)) {
    throw new CommandError(`${workflow} is no name of a workflow.`, exitCodes.usage);
  }
  const path = file ?? fileURLToPath(new URL(`${workflow}.jsonl`, shipped));
  try {
    return readDataset(await readFile(path, 'utf8'), basename(path));
  } catch (error) {
    if (error instanceof CommandError) throw error;
    const more = file === undefined ? `; --dataset names another file` : '';
    throw new CommandError(`No dataset: ${(error as Error).message}${more}`, exitCodes.usage);
  }
}

function readScore(text: string): number {
  const score = Number(text);
  if (!/^[\d.]+$/.test(text) || !(score >= 0 && score <= 1)) throw new InvalidArgumentError('It must be 0 to 1.');
  return score;
}

function readWhole(most: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (!/^\d+$/.test(text) || number < 1 || number > most) {
      throw new InvalidArgumentError(`It must be a whole number from 1 to ${most}.`);
    }
    return number;
  };
}
