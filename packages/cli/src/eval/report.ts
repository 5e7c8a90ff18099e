import { summarize, type Evaluation, type EvaluationBody, type EvaluationSummary } from '@flowstate/contracts';
import { formatTable } from '../table.ts';
import { compare } from './compare.ts';
import { wilson, type Interval } from './statistics.ts';

/** More faults than this are in the stored evaluation. */
const shownFaults = 10;
const three = (value: number) => value.toFixed(3);
const between = ([low, high]: Interval) => `${three(low)} to ${three(high)}`;
const signed = (value: number) => `${value > 0 ? '+' : ''}${three(value)}`;

type Told = Pick<EvaluationBody, 'workflow' | 'version' | 'dataset' | 'mind' | 'models' | 'cases'>;

/** Which workflow, by what mind. */
export function nameOf({ workflow, version, mind, models }: Omit<Told, 'cases' | 'dataset'>): string {
  const by = mind === 'offline' ? 'offline' : models.length === 0 ? 'no model answered' : models.join(', ');
  return `${workflow} ${version} (${by})`;
}

/** What came out, for a person: scores, what is compared, time and cost, and what was wrong. */
export function reportOf(result: Told, against?: Told): string {
  const summary = summarize(result.cases);
  const parts = [
    `${nameOf(result)} on ${result.dataset}: ${summary.completed} of ${summary.cases} cases completed\n`,
    formatTable(
      ['GRADER', 'CASES', 'SCORE', 'PASSED', '95 % OF PASSING'],
      summary.grades.map(({ grader, cases, score, passed }) => {
        return [grader, String(cases), three(score), String(passed), between(wilson(passed, cases))];
      }),
    ),
  ];
  if (against !== undefined) {
    parts.push(
      `Against ${nameOf(against)}\n`,
      formatTable(
        ['GRADER', 'CASES', 'SCORE', 'AGAINST', 'DIFFERENCE', '95 % OF DIFFERENCE', 'VERDICT'],
        compare(result, against).map(({ grader, cases, score, against, difference, interval, verdict }) => {
          const figures = [three(score), three(against), signed(difference), between(interval)];
          return [grader, String(cases), ...figures, verdict];
        }),
      ),
    );
  }
  const rows = [result, ...(against === undefined ? [] : [against])].map((one) => {
    return [nameOf(one), ...costs(summarize(one.cases))];
  });
  parts.push(formatTable(['RUNS', 'MEDIAN MS', 'P95 MS', 'TOKENS IN', 'TOKENS OUT', 'COST'], rows));
  const faults = result.cases.flatMap(({ id, faults }) => faults.map((fault) => `  ${id}: ${fault}\n`));
  if (faults.length > 0) {
    const more = faults.length > shownFaults ? `  and ${faults.length - shownFaults} more\n` : '';
    parts.push(`Faults\n${faults.slice(0, shownFaults).join('')}${more}`);
  }
  return parts.join('\n');
}

/** Stored evaluations, one a line. */
export function listOf(evaluations: readonly Evaluation[]): string {
  return formatTable(
    ['ID', 'WHEN', 'WORKFLOW', 'DATASET', 'CASES', 'SCORES', 'MEDIAN MS', 'COST'],
    evaluations.map(({ id, createdAt, dataset, summary, ...one }) => [
      id,
      createdAt,
      nameOf(one),
      dataset,
      `${summary.completed}/${summary.cases}`,
      summary.grades.map(({ grader, score }) => `${grader} ${three(score)}`).join(', '),
      summary.medianMs.toFixed(0),
      dollars(summary.costUsd),
    ]),
  );
}

function costs({ medianMs, p95Ms, inputTokens, outputTokens, costUsd }: EvaluationSummary): string[] {
  return [medianMs.toFixed(0), p95Ms.toFixed(0), String(inputTokens), String(outputTokens), dollars(costUsd)];
}

function dollars(usd: number | null): string {
  return usd === null ? '-' : `$${usd.toFixed(4)}`;
}
