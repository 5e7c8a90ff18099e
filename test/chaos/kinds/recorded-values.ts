import { reportingWorkflow, type Kind } from '../kind.ts';

export const valuesWorkflow = reportingWorkflow('chaos-values', {}, async (step, _input, ctx) => {
  const drawn = `${ctx.random()} at ${ctx.now().toISOString()}`;
  const first = await step('first', { say: drawn, holdMs: 50 });
  const second = await step('second', { say: drawn, effect: 'keyed', holdMs: 50 });
  // Whatever was drawn before a crash holds after it.
  if (first !== drawn || second !== drawn) throw new Error(`drawn ${drawn}, but recorded ${first} and ${second}`);
  return [first, second];
});

/** Chance and time are recorded: after a crash they are what they were. */
export const recordedValues: Kind = {
  name: 'values',
  workflow: valuesWorkflow,
  weight: 1,
  start: () => ({ input: {} }),
  steps: () => ['first', 'second'],
};
