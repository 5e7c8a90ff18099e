import { reportingWorkflow, type Kind } from '../kind.ts';

const names = ['one', 'two', 'three', 'four'];

export const cancelledWorkflow = reportingWorkflow('chaos-cancelled', {}, async (step) => {
  const values: string[] = [];
  for (const name of names) values.push(await step(name, { holdMs: 150 }));
  return values;
});

/** Its client thinks better of it after the first step; 409 when it was too late. */
export const cancelledRun: Kind = {
  name: 'cancelled',
  workflow: cancelledWorkflow,
  weight: 1,
  start: () => ({ input: {} }),
  steps: () => names,
  ends: ['cancelled', 'completed'],
  async onEvent({ type }, { id, client }) {
    if (type === 'step.completed') await client.call('POST', `/api/runs/${id}/cancel`, { allow: [202, 409] });
  },
};
