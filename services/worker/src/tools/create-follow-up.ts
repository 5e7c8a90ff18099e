import { FollowUp, FollowUpInput } from '@flowstate/contracts';
import { defineTool } from '@flowstate/workflow';
import Type from 'typebox';
import { customerPath } from '../crm.ts';
import { CustomerId } from './customer-facts.ts';

export const createFollowUp = defineTool({
  name: 'create_follow_up',
  description: 'Leaves something for people to do for the customer this is about. For no other customer.',
  input: Type.Object({ customer: CustomerId, ...FollowUpInput.properties }, { additionalProperties: false }),
  output: FollowUp,
  effect: 'keyed',
  roles: ['admin', 'manager', 'agent', 'integration'],
  run: ({ backend, signal, idempotencyKey }, { customer, ...body }) =>
    backend(
      {
        operation: 'follow-ups.create',
        method: 'POST',
        path: `${customerPath(customer)}/follow-ups`,
        body,
        idempotencyKey,
        response: FollowUp,
      },
      signal,
    ),
});
