import Type, { type Static } from 'typebox';
import { terminalStates } from './runs.ts';
import { Id, Nullable, OneOf, Timestamp } from './schema.ts';

export const graderNames = ['schema', 'exact', 'figure-match', 'citation-supported'] as const;
export type GraderName = (typeof graderNames)[number];

const closed = { additionalProperties: false };
const Count = Type.Integer({ minimum: 0 });
const Ms = Type.Number({ minimum: 0 });
const Usd = Nullable(Type.Number({ minimum: 0, description: 'USD; null: no price is known' }));
const Score = Type.Number({ minimum: 0, maximum: 1 });
const OptionalScore = Type.Optional(Score);

/** What became of one case of a dataset. */
export const EvaluatedCase = Type.Object(
  {
    id: Type.String({ minLength: 1, maxLength: 120 }),
    runId: Id,
    state: OneOf(terminalStates),
    scores: Type.Object(
      {
        schema: OptionalScore,
        exact: OptionalScore,
        'figure-match': OptionalScore,
        'citation-supported': OptionalScore,
      },
      { ...closed, description: 'by each grader that had something to grade' },
    ),
    faults: Type.Array(Type.String({ maxLength: 1_000 }), { maxItems: 20, description: 'what the graders found' }),
    ms: Type.Unsafe<number>({ ...Ms, description: 'from its start to its end' }),
    inputTokens: Count,
    outputTokens: Count,
    costUsd: Usd,
  },
  closed,
);
export type EvaluatedCase = Static<typeof EvaluatedCase>;

export const maxEvaluatedCases = 1_000;

export const EvaluationBody = Type.Object(
  {
    workflow: Type.String({ minLength: 1, maxLength: 64 }),
    version: Type.String({ minLength: 1, maxLength: 64 }),
    dataset: Type.String({ minLength: 1, maxLength: 255, description: 'its name, for people' }),
    datasetHash: Type.String({ pattern: '^[0-9a-f]{64}$', description: 'SHA-256: the same cases and expectations' }),
    mind: OneOf(['model', 'offline'] as const, { description: '`offline`: the runs were asked to do without a model' }),
    models: Type.Array(Type.String({ minLength: 1, maxLength: 200 }), {
      maxItems: 20,
      uniqueItems: true,
      description: 'language models that answered in its runs',
    }),
    cases: Type.Array(EvaluatedCase, { minItems: 1, maxItems: maxEvaluatedCases }),
  },
  closed,
);
export type EvaluationBody = Static<typeof EvaluationBody>;

const EvaluationSummary = Type.Object({
  cases: Count,
  completed: Count,
  grades: Type.Array(
    Type.Object({
      grader: OneOf(graderNames),
      cases: Type.Unsafe<number>({ ...Count, description: 'it graded' }),
      score: Type.Unsafe<number>({ ...Score, description: 'mean' }),
      passed: Type.Unsafe<number>({ ...Count, description: 'cases with the full score' }),
    }),
  ),
  medianMs: Ms,
  p95Ms: Ms,
  inputTokens: Count,
  outputTokens: Count,
  costUsd: Usd,
});
export type EvaluationSummary = Static<typeof EvaluationSummary>;

const { cases: _cases, ...named } = EvaluationBody.properties;

/** A stored evaluation as lists show it. */
export const Evaluation = Type.Object(
  { id: Id, ...named, summary: EvaluationSummary, principalId: Id, createdAt: Timestamp },
  { $id: 'Evaluation' },
);
export type Evaluation = Static<typeof Evaluation>;

export const EvaluationDetail = Type.Object(
  { ...Evaluation.properties, cases: EvaluationBody.properties.cases },
  { $id: 'EvaluationDetail' },
);
export type EvaluationDetail = Static<typeof EvaluationDetail>;

/** The figures of an evaluation. Percentiles are values that occurred (nearest rank). */
export function summarize(cases: readonly EvaluatedCase[]): EvaluationSummary {
  const times = cases.map(({ ms }) => ms).toSorted((a, b) => a - b);
  const rank = (p: number) => times[Math.max(0, Math.ceil(p * times.length) - 1)] ?? 0;
  const total = (of: (one: EvaluatedCase) => number) => cases.reduce((sum, one) => sum + of(one), 0);
  const priced = cases.filter(({ costUsd }) => costUsd !== null);
  return {
    cases: cases.length,
    completed: cases.filter(({ state }) => state === 'completed').length,
    grades: graderNames.flatMap((grader) => {
      const scores = cases.flatMap(({ scores }) => scores[grader] ?? []);
      if (scores.length === 0) return [];
      const score = scores.reduce((sum, one) => sum + one, 0) / scores.length;
      return [{ grader, cases: scores.length, score, passed: scores.filter((one) => one === 1).length }];
    }),
    medianMs: rank(0.5),
    p95Ms: rank(0.95),
    inputTokens: total(({ inputTokens }) => inputTokens),
    outputTokens: total(({ outputTokens }) => outputTokens),
    costUsd: priced.length === 0 ? null : priced.reduce((sum, { costUsd }) => sum + (costUsd ?? 0), 0),
  };
}
