import { readFile } from 'node:fs/promises';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { withClient } from './connection.ts';
import { Refused } from './gateway-client.ts';
import { evaluateRecommendations, type RecommenderQuality } from './search-eval/evaluate-recommendations.ts';
import { evaluateSearch, searchKinds, type SearchKind, type SearchQuality } from './search-eval/evaluate-search.ts';
import { readLabelledQueries } from './search-eval/labelled-queries.ts';
import { refuseUnknownDocuments } from './search-eval/unknown-documents.ts';
import { formatTable } from './table.ts';
import { CommandError, exitCodes, type Terminal } from './terminal.ts';

type Options = { k: number; kind: SearchKind[]; collection?: string; with: Record<string, unknown>; json?: boolean };

type LookBackOptions = { k: number[]; cases: number; json?: boolean };

/** `flowstate search eval|eval-recommendations`. */
export function addSearchEvalCommands(search: Command, terminal: Terminal, done: (exitCode: number) => void): void {
  const { stdout, stderr } = terminal;

  search
    .command('eval')
    .description('recall, MRR and nDCG of each kind of search on labelled queries')
    .argument(
      '<labelled.jsonl>',
      'a query a line: {"query", "relevant": {"<external id>": 1…3}, "style"?, "collection"?}',
    )
    .option('--k <number>', 'answers looked at, 1 to 100', readK, 10)
    .option('--collection <name>', 'look only there, for queries that name none; all you may search otherwise')
    .addOption(new Option('--kind <kind...>', 'only these').choices(searchKinds).default([...searchKinds], 'all'))
    .option('--with <json>', 'further fields of every request, such as {"threshold": 0.2}', readFields, {})
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nGrades: 3 answers the query, 2 answers a part of it, 1 helps. A query with no relevant document asks whether\n' +
        'the search leaves its answer empty; it counts in no other figure. The sample set is\n' +
        'deploy/sample/search-queries.jsonl.\n',
    )
    .action(async (file: string, { k, kind: kinds, collection, with: fields, json }: Options, self: Command) => {
      const queries = readLabelledQueries(await readText(file), file).map((query) => ({
        ...(collection !== undefined && { collection }),
        ...query,
      }));
      await withClient(self, terminal, async (client) => {
        await refuseUnknownDocuments(client, queries);
        const qualities: SearchQuality[] = [];
        for (const kind of kinds) {
          try {
            qualities.push(await evaluateSearch(client, queries, { kind, k, fields }));
          } catch (error) {
            // What the other kinds are worth is told all the same.
            if (!(error instanceof Refused)) throw error;
            stderr.write(`${kind}: ${error.message}\n`);
            done(exitCodes.failed);
          }
        }
        stdout.write(json ? `${JSON.stringify(qualities, null, 2)}\n` : tableOf(qualities, k));
      });
    });

  search
    .command('eval-recommendations')
    .description('hit rate and MRR of recommended products, looking back at what was won, beside mere popularity')
    .option('--k <numbers>', 'recommendations looked at, such as 1,3', readKs, [1, 3])
    .option('--cases <number>', 'the latest first wins of a product by a customer, so many', readCases, 500)
    .option('--json', 'as JSON')
    .action(async ({ k: ks, cases, json }: LookBackOptions, self: Command) => {
      await withClient(self, terminal, async (client) => {
        const qualities = await evaluateRecommendations(client, { ks, cases });
        stdout.write(json ? `${JSON.stringify(qualities, null, 2)}\n` : lookBackTable(qualities, ks));
      });
    });
}

function tableOf(qualities: readonly SearchQuality[], k: number): string {
  const figure = (value: number) => value.toFixed(3);
  return formatTable(
    ['SEARCH', 'QUERIES', 'COUNT', `RECALL@${k}`, `MRR@${k}`, `NDCG@${k}`],
    qualities.flatMap(({ kind, groups, unanswerable }) => [
      ...groups.map(({ group, queries, recall, reciprocalRank, ndcg }) => [
        kind,
        group,
        String(queries),
        ...(queries === 0 ? ['-', '-', '-'] : [recall, reciprocalRank, ndcg].map(figure)),
      ]),
      ...(unanswerable.queries === 0
        ? []
        : [[kind, 'nothing to find', String(unanswerable.queries), `left empty: ${unanswerable.leftEmpty}`]]),
    ]),
  );
}

function lookBackTable(qualities: readonly RecommenderQuality[], ks: readonly number[]): string {
  return formatTable(
    ['RECOMMENDER', 'CASES', ...ks.map((k) => `HIT RATE@${k}`), 'MRR'],
    qualities.map(({ recommender, cases, hitRate, mrr }) => [
      recommender,
      String(cases),
      ...[...ks.map((k) => hitRate[k] ?? 0), mrr].map((value) => (cases === 0 ? '-' : value.toFixed(3))),
    ]),
  );
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new CommandError(`${file}: ${(error as Error).message}`, exitCodes.usage);
  }
}

function readCases(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('It must be a number from 1.');
  return Number(text);
}

function readKs(text: string): number[] {
  const ks = text.split(',').map(Number);
  if (!ks.every((k) => Number.isInteger(k) && k >= 1 && k <= 50)) {
    throw new InvalidArgumentError('Each must be 1 to 50.');
  }
  return ks;
}

function readK(text: string): number {
  const k = Number(text);
  if (!/^\d+$/.test(text) || k < 1 || k > 100) throw new InvalidArgumentError('It must be 1 to 100.');
  return k;
}

function readFields(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // said below, as of JSON that is no object
  }
  throw new InvalidArgumentError('It must be a JSON object.');
}
