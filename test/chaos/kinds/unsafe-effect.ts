import Type from 'typebox';
import { reportingWorkflow, type Kind } from '../kind.ts';

export const unsafeWorkflow = reportingWorkflow(
  'chaos-unsafe',
  { holdMs: Type.Integer() },
  async (step, { holdMs }) => [
    await step('write'),
    await step('send', { effect: 'unsafe', holdMs }),
    await step('file'),
  ],
);

/** An effect nobody could take back or recognise: a fault in its middle parks the run. */
export const unsafeEffect: Kind = {
  name: 'unsafe',
  workflow: unsafeWorkflow,
  weight: 3,
  start: (random) => ({ input: { holdMs: random.between(100, 800) } }),
  steps: () => ['write', 'send', 'file'],
};

/** Cancelled while its effect is about to happen or happening: nobody may take it for not having happened. */
export const cancelledUnsafe: Kind = {
  ...unsafeEffect,
  name: 'cancelled unsafe',
  weight: 2,
  ends: ['cancelled', 'completed'],
  async onEvent({ type, data }, { id, client }) {
    if (type === 'step.intended' && data.name === 'send')
      await client.call('POST', `/api/runs/${id}/cancel`, { allow: [202, 409] });
  },
};
