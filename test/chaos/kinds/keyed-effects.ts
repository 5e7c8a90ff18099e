import Type from 'typebox';
import { reportingWorkflow, type Kind } from '../kind.ts';

export const keyedWorkflow = reportingWorkflow('chaos-keyed', { holdMs: Type.Integer() }, async (step, { holdMs }) => [
  await step('reserve', { holdMs }),
  await step('charge', { effect: 'keyed', holdMs }),
  await step('pack'),
  await step('ship', { effect: 'keyed', holdMs }),
]);

/** Effects the far end recognises: they may come twice, but only under one key. */
export const keyedEffects: Kind = {
  name: 'keyed',
  workflow: keyedWorkflow,
  weight: 2,
  start: (random) => ({ input: { holdMs: random.between(20, 300) } }),
  steps: () => ['reserve', 'charge', 'pack', 'ship'],
};
