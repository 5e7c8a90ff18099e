import type { RunExplanation } from '@flowstate/contracts';
import type { Command } from 'commander';
import { withClient } from './connection.ts';
import { formatTable } from './table.ts';
import type { Terminal } from './terminal.ts';

/** `flowstate run explain <id>`. */
export function addExplainCommand(run: Command, terminal: Terminal): void {
  run
    .command('explain')
    .description('where the time and the cost of one run went')
    .argument('<id>', "the run's id")
    .option('--json', 'as JSON')
    .action(async (id: string, _options: unknown, self: Command) => {
      await withClient(self, terminal, async (client) => {
        const path = `/api/runs/${encodeURIComponent(id)}/explain`;
        const explained = await client.request<RunExplanation>('GET', path);
        const json = self.optsWithGlobals<{ json?: boolean }>().json === true;
        terminal.stdout.write(json ? `${JSON.stringify(explained, null, 2)}\n` : describeExplanation(explained));
      });
    });
}

const meanings: Record<keyof RunExplanation['time'], string> = {
  queue: 'until a worker took it',
  claim: 'from there to its first step or wait',
  steps: 'while a step ran',
  waits: 'waiting for a signal, a child or a time',
  recovery: 'between two of its workers',
  engine: 'the rest: checkpoints, code between steps',
};

/** For people: the whole, its parts, the steps with what they called, and the sums of the calls. */
export function describeExplanation(run: RunExplanation): string {
  const { id, workflow, state, attempt, traceId, totalMs, time, steps, waits, backend, models, costUsd } = run;
  const share = (ms: number) => (totalMs === 0 ? '' : `${Math.round((ms / totalMs) * 100)} %`);
  const head = `Run ${id} of ${workflow}: ${state} in ${ms(totalMs)}, attempt ${attempt}, trace ${traceId ?? 'none'}\n`;
  const parts = Object.entries(time).map(([kind, took]) => {
    const name = kind as keyof RunExplanation['time'];
    return [name, ms(took), share(took), meanings[name]];
  });
  const each = steps.map((step) => [
    step.name,
    String(step.attempt),
    step.state,
    ms(step.ms),
    [
      ...step.backend.map(({ operation, calls, ms: took }) => `${operation} ×${calls} ${ms(took)}`),
      ...step.models.map(({ model, calls, ms: took }) => `${model} ×${calls} ${ms(took)}`),
    ].join(', '),
  ]);
  const tables = [
    formatTable(['WHERE', 'TIME', 'SHARE', 'WHAT'], parts),
    steps.length > 0 && formatTable(['STEP', 'TRY', 'STATE', 'TIME', 'CALLS'], each),
    waits.length > 0 &&
      formatTable(
        ['WAIT', 'TIME'],
        waits.map(({ name, ms: took }) => [name, ms(took)]),
      ),
    backend.length > 0 &&
      formatTable(
        ['BACKEND', 'CALLS', 'TIME'],
        backend.map(({ operation, calls, ms: took }) => [operation, String(calls), ms(took)]),
      ),
    models.length > 0 &&
      formatTable(
        ['MODEL', 'CALLS', 'TIME', 'TOKENS IN', 'TOKENS OUT', 'COST'],
        models.map((model) => [
          model.model,
          String(model.calls),
          ms(model.ms),
          String(model.inputTokens),
          String(model.outputTokens),
          dollars(model.costUsd),
        ]),
      ),
  ].filter((table) => table !== false);
  return `${[head, ...tables].join('\n')}\ncost: ${models.length === 0 ? 'no model was called' : dollars(costUsd)}\n`;
}

const ms = (figure: number) => (figure < 10_000 ? `${Math.round(figure)} ms` : `${(figure / 1_000).toFixed(1)} s`);
const dollars = (figure: number | null) => (figure === null ? 'not known' : `$${figure.toFixed(4)}`);
