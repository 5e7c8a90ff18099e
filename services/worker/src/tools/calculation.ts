import { OneOf } from '@flowstate/contracts';
import Type, { type Static } from 'typebox';
import { CustomerId } from './customer-facts.ts';

const closed = { additionalProperties: false };

export type Aggregation = 'sum' | 'avg' | 'min' | 'max' | 'median' | 'count';
const Aggregation = OneOf(['sum', 'avg', 'min', 'max', 'median', 'count'] as const);

const Condition = Type.Object(
  {
    field: Type.String({ minLength: 1, maxLength: 60 }),
    is: OneOf(['eq', 'ne', 'lt', 'le', 'gt', 'ge'] as const),
    value: Type.Union([Type.String({ maxLength: 255 }), Type.Number(), Type.Null()]),
  },
  closed,
);
export type Condition = Static<typeof Condition>;

const source = {
  rows: OneOf(['interactions', 'opportunities', 'integrations'] as const, { description: 'Read anew, all of them' }),
  customer: CustomerId,
  field: Type.Optional(
    Type.String({ minLength: 1, maxLength: 60, description: 'A number of each row, e.g. `amount`' }),
  ),
  where: Type.Optional(Type.Array(Condition, { maxItems: 10, description: 'All must hold' })),
};
const Source = Type.Object(source, closed);
export type Source = Static<typeof Source>;

const Given = Type.Object(
  {
    value: Type.Number(),
    from: Type.String({
      minLength: 1,
      maxLength: 320,
      description: 'Id of the figure (`f2.1`), or `<externalId>.<field>` of the row a tool showed',
    }),
  },
  { ...closed, description: 'A number that was shown before, and where' },
);
export type Given = Static<typeof Given>;

const Operand = Type.Union([Given, Type.Object({ op: Aggregation, ...source }, closed)]);
export type Operand = Static<typeof Operand>;

export const CalculateInput = Type.Object(
  {
    op: OneOf([
      'sum',
      'avg',
      'min',
      'max',
      'median',
      'count',
      'add',
      'difference',
      'product',
      'ratio',
      'percent',
      'percent_change',
    ] as const),
    over: Type.Optional(
      Type.Union([Source, Type.Object({ given: Type.Array(Given, { minItems: 1, maxItems: 200 }) }, closed)], {
        description: 'For sum, avg, min, max, median, count',
      }),
    ),
    a: Type.Optional(Operand),
    b: Type.Optional(Operand),
  },
  { ...closed, description: 'difference = a - b, ratio = a / b, percent = 100 a / b, percent_change from b to a' },
);
export type CalculateInput = Static<typeof CalculateInput>;

export const Figure = Type.Object(
  {
    id: Type.String({ description: 'Cite it by this' }),
    op: Type.String(),
    value: Type.Number(),
    from: Type.Array(Type.String(), { description: 'The rows and figures it was computed from, 50 at most' }),
    count: Type.Optional(Type.Integer({ description: 'Numbers it was computed from' })),
    skipped: Type.Optional(Type.Integer({ description: 'Rows without such a number' })),
  },
  closed,
);
export type Figure = Static<typeof Figure>;
