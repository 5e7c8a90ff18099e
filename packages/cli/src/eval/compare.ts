import { graderNames, type EvaluationBody, type GraderName } from '@flowstate/contracts';
import { pairedBootstrap, type Interval } from './statistics.ts';

export type Comparison = {
  grader: GraderName;
  /** Cases that both were graded by it on. */
  cases: number;
  score: number;
  against: number;
  difference: number;
  /** Of the difference, 95 %. */
  interval: Interval;
  /** `unclear`: the interval holds zero, so the difference may be chance. */
  verdict: 'better' | 'worse' | 'same' | 'unclear';
};

/** Two evaluations on the same dataset, case by case. */
export function compare(
  { cases }: Pick<EvaluationBody, 'cases'>,
  { cases: others }: Pick<EvaluationBody, 'cases'>,
): Comparison[] {
  const byId = new Map(others.map((one) => [one.id, one]));
  return graderNames.flatMap((grader) => {
    const pairs = cases.flatMap(({ id, scores }) => {
      const [score, against] = [scores[grader], byId.get(id)?.scores[grader]];
      return score === undefined || against === undefined ? [] : [{ score, against }];
    });
    if (pairs.length === 0) return [];
    const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const differences = pairs.map(({ score, against }) => score - against);
    const interval = pairedBootstrap(differences);
    return [
      {
        grader,
        cases: pairs.length,
        score: mean(pairs.map(({ score }) => score)),
        against: mean(pairs.map(({ against }) => against)),
        difference: mean(differences),
        interval,
        verdict: verdictOf(differences, interval),
      },
    ];
  });
}

function verdictOf(differences: readonly number[], [low, high]: Interval): Comparison['verdict'] {
  if (differences.every((one) => one === 0)) return 'same';
  if (low > 0) return 'better';
  return high < 0 ? 'worse' : 'unclear';
}
