import { Integration } from '@flowstate/contracts';
import { defineTool } from '@flowstate/workflow';
import Type from 'typebox';
import { createCrm } from '../crm.ts';
import { CustomerId } from './customer-facts.ts';

const closed = { additionalProperties: false };
const maxShown = 30;
const maxIncidents = 5;

export const customerIntegrations = defineTool({
  name: 'customer_integrations',
  description: 'Systems of one customer that are connected to ours, with their state and latest incidents',
  input: Type.Object({ customer: CustomerId }, closed),
  output: Type.Object(
    {
      count: Type.Integer(),
      integrations: Type.Array(Type.Object(Integration.properties), { description: `At most ${maxShown}` }),
    },
    closed,
  ),
  effect: 'pure',
  async run({ backend, signal }, { customer }) {
    const { rows } = await createCrm(backend, signal).integrations(customer);
    const integrations = rows.slice(0, maxShown).map((row) => ({
      ...row,
      incidents: (row.incidents ?? []).toSorted((a, b) => (a.openedAt < b.openedAt ? 1 : -1)).slice(0, maxIncidents),
    }));
    return { count: rows.length, integrations };
  },
});
