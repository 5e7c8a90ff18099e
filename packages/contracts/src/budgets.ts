import Type, { type Static } from 'typebox';
import { invalidInput, type FieldError } from './errors.ts';
import { toMicroUsd, toUsd, type MicroUsd } from './money.ts';
import { Nullable, OneOf } from './schema.ts';

/** What a call of a language model counts for: all four, each with a budget of its own. */
export const budgetLevels = ['run', 'principal', 'workflow', 'model'] as const;
export type BudgetLevel = (typeof budgetLevels)[number];

/** Days and months begin at midnight UTC. */
export const budgetPeriods = ['day', 'month', 'total'] as const;

/** What becomes of a call for which there is no room. */
export const budgetPolicies = ['fail', 'pause', 'cheaper'] as const;

const level = OneOf(budgetLevels, { description: 'What it counts' });
const subject = Type.String({
  maxLength: 128,
  description:
    "The run's or principal's id, the workflow's or model's name; empty: each of them that has no budget of its own",
});
const period = OneOf(budgetPeriods, { description: 'UTC; a run has only a total' });
const maxTokens = Nullable(
  Type.Integer({ minimum: 0, maximum: 1e15, description: 'Input and output tokens together; null: no cap' }),
);
const maxUsd = Nullable(
  Type.Number({
    minimum: 0,
    maximum: 1e9,
    description: 'US dollars, to the millionth; null: no cap. A model without a price is refused under it',
  }),
);
const atLimit = OneOf(budgetPolicies, {
  description:
    'For a call that has no room: `fail` it, `pause` its run until somebody raises the budget, or make it with the `cheaper` model',
});
const cheaperModel = Nullable(
  Type.String({
    minLength: 1,
    maxLength: 128,
    description: 'For `cheaper`; when it has no room either, the call fails',
  }),
);

export const BudgetKey = Type.Object({ level, subject, period });
export type BudgetKey = Static<typeof BudgetKey>;

export const Budget = Type.Object(
  { level, subject, period, maxTokens, maxUsd, atLimit, cheaperModel },
  { $id: 'Budget' },
);
export type Budget = Static<typeof Budget>;

export const BudgetState = Type.Object(
  {
    ...Budget.properties,
    spentTokens: Type.Integer({
      description: 'Of this period, reservations included; for each: of whom it is most (for each run: not said)',
    }),
    spentUsd: Type.Number(),
    pausedRuns: Type.Integer({ description: 'Runs that wait for somebody to raise it' }),
  },
  { $id: 'BudgetState' },
);
export type BudgetState = Static<typeof BudgetState>;

export const BudgetBody = Type.Object(
  {
    level,
    subject: Type.Optional(subject),
    period,
    maxTokens: Type.Optional(maxTokens),
    maxUsd: Type.Optional(maxUsd),
    atLimit: Type.Optional(atLimit),
    cheaperModel: Type.Optional(cheaperModel),
  },
  { additionalProperties: false },
);
export type BudgetBody = Static<typeof BudgetBody>;

/** A budget as it is stored. */
export type StoredBudget = Omit<Budget, 'maxUsd'> & { maxMicroUsd: MicroUsd | null };

/** A budget as it is stored; throws `invalid_input` naming what makes no sense. */
export function toStoredBudget(body: BudgetBody): StoredBudget {
  const { subject = '', maxTokens = null, maxUsd = null, atLimit = 'fail', cheaperModel = null, ...key } = body;
  const maxMicroUsd = maxUsd === null ? null : toMicroUsd(maxUsd);
  const errors: FieldError[] = [];
  const refuse = (field: string, message: string) => errors.push({ field, message });
  if (maxTokens === null && maxUsd === null) refuse('maxTokens', 'or maxUsd must be given');
  if (maxUsd !== null && maxMicroUsd === null) refuse('maxUsd', 'must not be finer than a millionth of a dollar');
  if (key.level === 'run' && key.period !== 'total') refuse('period', 'must be total for a run');
  if (atLimit === 'cheaper' && cheaperModel === null) refuse('cheaperModel', 'is required for cheaper');
  if (atLimit !== 'cheaper' && cheaperModel !== null) refuse('cheaperModel', `is not for ${atLimit}`);
  if (key.level === 'model' && subject !== '' && cheaperModel === subject) {
    refuse('cheaperModel', 'is the very model that has no room');
  }
  if (errors.length > 0) throw invalidInput(errors);
  return { ...key, subject, maxTokens, maxMicroUsd, atLimit, cheaperModel };
}

/** A stored budget as it is shown. */
export function toBudget({ maxMicroUsd, ...rest }: StoredBudget): Budget {
  return { ...rest, maxUsd: maxMicroUsd === null ? null : toUsd(maxMicroUsd) };
}

/** A budget by name, e.g. `budget of each workflow, month`. */
export function nameOfBudget({ level, subject, period }: BudgetKey): string {
  const whose = subject === '' ? `each ${level}` : `${level} ${subject}`;
  return period === 'total' ? whose : `${whose}, ${period}`;
}

/** The signal for which a paused run waits: there is room again. */
export const budgetSignal = 'budget';
