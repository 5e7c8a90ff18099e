import { isClosed, Opportunity, OneOf } from '@flowstate/contracts';
import { defineTool } from '@flowstate/workflow';
import Type from 'typebox';
import { createCrm } from '../crm.ts';
import { CustomerId } from './customer-facts.ts';

const closed = { additionalProperties: false };
const states = ['open', 'closed', 'all'] as const;

export const customerOpportunities = defineTool({
  name: 'customer_opportunities',
  description:
    'Opportunities of one customer, newest first. A stage of `won` or `lost` means closed. Do not add anything up yourself: `calculate` does.',
  input: Type.Object(
    {
      customer: CustomerId,
      state: Type.Optional(OneOf(states, { default: 'all' })),
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 60, default: 30 })),
    },
    closed,
  ),
  output: Type.Object(
    {
      count: Type.Integer({ description: 'How many there are; at most 2,000 are counted' }),
      opportunities: Type.Array(Type.Omit(Opportunity, ['history'])),
    },
    closed,
  ),
  effect: 'pure',
  async run({ backend, signal }, { customer, state = 'all', limit = 30 }) {
    const { rows } = await createCrm(backend, signal).opportunities(customer);
    const wanted = rows.filter((row) => state === 'all' || (state === 'closed') === isClosed(row));
    return {
      count: wanted.length,
      opportunities: wanted.slice(0, limit).map(({ history: _history, ...row }) => row),
    };
  },
});
