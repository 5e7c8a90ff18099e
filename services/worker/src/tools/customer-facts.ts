import { AnyId, Customer, Interaction } from '@flowstate/contracts';
import { defineTool } from '@flowstate/workflow';
import Type from 'typebox';
import { createCrm } from '../crm.ts';

const closed = { additionalProperties: false };
/** Characters of one message. */
const maxText = 1_500;

export const CustomerId = Type.Unsafe<string>({ ...AnyId, description: 'Id of the customer, ours or external' });

export const customerFacts = defineTool({
  name: 'customer_facts',
  description: 'What is on record about one customer, and what was said lately. Cite rows by `externalId`.',
  input: Type.Object(
    {
      customer: CustomerId,
      interactions: Type.Optional(
        Type.Integer({ minimum: 0, maximum: 25, default: 10, description: 'How many of the latest messages to show' }),
      ),
    },
    closed,
  ),
  output: Type.Object(
    {
      customer: Type.Object(Customer.properties),
      interactionCount: Type.Integer({ description: 'All that are on record, at most 2,000 are counted' }),
      interactions: Type.Array(Type.Object(Interaction.properties), {
        description: 'The latest first; long texts are cut',
      }),
    },
    closed,
  ),
  effect: 'pure',
  async run({ backend, signal }, { customer: id, interactions: shown = 10 }) {
    const crm = createCrm(backend, signal);
    const [customer, { rows }] = await Promise.all([crm.customer(id), crm.interactions(id)]);
    return {
      customer,
      interactionCount: rows.length,
      interactions: rows.slice(0, shown).map((row) => ({ ...row, text: row.text.slice(0, maxText).toWellFormed() })),
    };
  },
});
