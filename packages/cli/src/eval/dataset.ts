import { createHash } from 'node:crypto';
import { createCheck, FlowstateError, graderNames, maxEvaluatedCases, OneOf } from '@flowstate/contracts';
import Type, { type Static } from 'typebox';
import { CommandError, exitCodes } from '../terminal.ts';

const closed = { additionalProperties: false };
const Pointer = Type.String({ pattern: '^/', maxLength: 500 });

const Expectations = Type.Object(
  {
    exact: Type.Optional(
      Type.Record(Pointer, Type.Unknown(), { minProperties: 1, description: 'values of the output by JSON Pointer' }),
    ),
    figures: Type.Optional(Type.Record(Pointer, Type.Union([Type.Number(), Type.Null()]), { minProperties: 1 })),
    cites: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 255 }), {
        description: 'external ids of documents, of which one must be cited; empty: none may be',
      }),
    ),
  },
  closed,
);

const DatasetCase = Type.Object(
  {
    id: Type.String({ minLength: 1, maxLength: 120 }),
    input: Type.Object({}, { description: 'of the run; {"$documents": ["KB-1"]} stands for the ids of documents' }),
    expect: Type.Optional(Expectations),
    graders: Type.Array(OneOf(graderNames), { minItems: 1, uniqueItems: true }),
  },
  closed,
);

export type DatasetCase = Static<typeof DatasetCase> & { line: number };
export type Dataset = {
  name: string;
  /** SHA-256 of what the cases are, however they are laid out. */
  hash: string;
  cases: DatasetCase[];
};

const check = createCheck(DatasetCase);
/** More complaints than this nobody reads. */
const shownErrors = 20;

/** The cases of a dataset, one as JSON on each line; throws a `CommandError` that names every bad line and field. */
export function readDataset(text: string, name: string): Dataset {
  const errors: string[] = [];
  const seen = new Map<string, number>();
  const cases = text.split('\n').flatMap((content, index): DatasetCase[] => {
    const line = index + 1;
    if (content.trim() === '') return [];
    try {
      const one = check(JSON.parse(content));
      const before = seen.get(one.id);
      if (before !== undefined) throw new FlowstateError('invalid_input', `id ${one.id} is that of line ${before}`);
      seen.set(one.id, line);
      if (one.graders.includes('exact') && one.expect?.exact === undefined) {
        throw new FlowstateError('invalid_input', 'expect.exact is required by the grader exact');
      }
      return [{ ...one, line }];
    } catch (error) {
      if (error instanceof SyntaxError) errors.push(`line ${line}: is not JSON`);
      else if (error instanceof FlowstateError) errors.push(`line ${line}: ${error.message}`);
      else throw error;
      return [];
    }
  });
  if (errors.length === 0 && cases.length === 0) errors.push('has no cases');
  if (cases.length > maxEvaluatedCases) errors.push(`has ${cases.length} cases; ${maxEvaluatedCases} are the most`);
  if (errors.length > 0) {
    const more = errors.length > shownErrors ? [`and ${errors.length - shownErrors} more`] : [];
    throw new CommandError([`${name}:`, ...errors.slice(0, shownErrors), ...more].join('\n  '), exitCodes.usage);
  }
  return { name, hash: hashOf(cases), cases };
}

/** The dataset with these cases alone; throws a `CommandError` for one it has not. */
export function onlyCases({ name, cases }: Dataset, ids: readonly string[]): Dataset {
  const unknown = ids.find((id) => !cases.some((one) => one.id === id));
  if (unknown !== undefined) throw new CommandError(`${name} has no case ${unknown}.`, exitCodes.usage);
  const some = cases.filter(({ id }) => ids.includes(id));
  return { name, hash: hashOf(some), cases: some };
}

function hashOf(cases: readonly DatasetCase[]): string {
  const told = cases.map(({ line: _line, ...one }) => one);
  return createHash('sha256').update(JSON.stringify(told)).digest('hex');
}
