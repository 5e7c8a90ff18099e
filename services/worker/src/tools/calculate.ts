import { FlowstateError, invalidInput } from '@flowstate/contracts';
import { defineTool } from '@flowstate/workflow';
import type { Static } from 'typebox';
import { percentile, round, sum } from '../agents/statistics.ts';
import { CalculateInput, Figure, type Aggregation, type Given, type Operand } from './calculation.ts';
import { figureId } from './figure-id.ts';
import { readRows, type Row, valuesOf } from './calculation-rows.ts';

/** Decimals of a result: what binary fractions add beyond that is no figure. */
const digits = 6;
const maxNamed = 50;

type Value = { value: number; from: string[]; count?: number; skipped?: number };

export const calculate = defineTool({
  name: 'calculate',
  description:
    'Computes a figure: over rows it reads itself, or from figures and fields you name in `from`. Every figure of your answer must be one of these (cite its `id`) or a number as a tool gave it. Never compute in your head.',
  input: CalculateInput,
  output: Figure,
  effect: 'pure',
  async run({ backend, signal, idempotencyKey }, input): Promise<Static<typeof Figure>> {
    const { op, over, a, b } = input;
    const rows = (source: Parameters<typeof readRows>[2]) => readRows(backend, signal, source);
    let result: Value;
    if (isAggregation(op)) {
      if (over === undefined || a !== undefined || b !== undefined)
        throw wrong(`over is what ${op} needs, without a and b`);
      result = aggregate(
        op,
        'given' in over ? over.given.map(asRow) : await rows(over),
        'given' in over ? 'value' : over.field,
      );
    } else {
      if (a === undefined || b === undefined || over !== undefined)
        throw wrong(`a and b are what ${op} needs, without over`);
      const operand = async (given: Operand): Promise<Value> =>
        'rows' in given
          ? aggregate(given.op, await rows(given), given.field)
          : { value: given.value, from: [given.from] };
      result = combine(op, ...(await Promise.all([operand(a), operand(b)])));
    }
    const { value, from, ...counts } = result;
    if (!Number.isFinite(value)) throw wrong('the result is not a finite number');
    return { id: figureId(idempotencyKey), op, value: round(value, digits), from: from.slice(0, maxNamed), ...counts };
  },
});

const aggregations = ['sum', 'avg', 'min', 'max', 'median', 'count'] as const satisfies readonly Aggregation[];

function isAggregation(op: string): op is Aggregation {
  return (aggregations as readonly string[]).includes(op);
}

function asRow({ value, from }: Given): Row {
  return { id: from, fields: { value } };
}

function aggregate(op: Aggregation, rows: readonly Row[], field: string | undefined): Value {
  if (op === 'count' && field === undefined)
    return { value: rows.length, count: rows.length, from: rows.map(({ id }) => id) };
  if (field === undefined) throw invalidInput([{ field: 'input.over.field', message: `is required for ${op}` }]);
  const { values, ids } = valuesOf(rows, field);
  const counts = { from: ids, count: values.length, skipped: rows.length - values.length };
  if (op === 'count') return { ...counts, value: values.length };
  if (op === 'sum') return { ...counts, value: sum(values) };
  if (values.length === 0) throw new FlowstateError('not_found', `no row has a number in ${field}: there is no ${op}`);
  return { ...counts, value: ofValues[op](values) };
}

const ofValues: Record<'avg' | 'min' | 'max' | 'median', (values: readonly number[]) => number> = {
  avg: (values) => sum(values) / values.length,
  min: (values) => values.reduce((x, y) => Math.min(x, y)),
  max: (values) => values.reduce((x, y) => Math.max(x, y)),
  median: (values) => percentile(values, 0.5) ?? NaN,
};

/** `percent`: what part of `b` `a` is; `percent_change`: from `b` to `a`. */
function combine(
  op: 'add' | 'difference' | 'product' | 'ratio' | 'percent' | 'percent_change',
  a: Value,
  b: Value,
): Value {
  const from = [...a.from, ...b.from];
  if (op === 'add') return { value: a.value + b.value, from };
  if (op === 'difference') return { value: a.value - b.value, from };
  if (op === 'product') return { value: a.value * b.value, from };
  if (b.value === 0) throw invalidInput([{ field: 'input.b', message: `is 0: there is no ${op} of it` }]);
  if (op === 'ratio') return { value: a.value / b.value, from };
  if (op === 'percent') return { value: (100 * a.value) / b.value, from };
  return { value: (100 * (a.value - b.value)) / Math.abs(b.value), from };
}

function wrong(message: string): FlowstateError {
  return new FlowstateError('invalid_input', message, { errors: [{ field: 'input', message }] });
}
