import Type from 'typebox';
import { reportingWorkflow, type Kind } from '../kind.ts';

const names = (count: number) => Array.from({ length: count }, (_, index) => `step-${index + 1}`);

export const pureWorkflow = reportingWorkflow(
  'chaos-pure',
  { count: Type.Integer(), holdMs: Type.Integer() },
  async (step, { count, holdMs }) => {
    const values: string[] = [];
    for (const name of names(count)) values.push(await step(name, { holdMs }));
    return values;
  },
);

/** Quick pure steps, one after the other: their checkpoints overlap with the next step. */
export const pureSteps: Kind = {
  name: 'pure',
  workflow: pureWorkflow,
  weight: 3,
  start: (random) => ({ input: { count: random.between(2, 6), holdMs: random.between(0, 80) } }),
  steps: ({ count }) => names(Number(count)),
};

/** Steps so slow that faults hit in their middle. */
export const slowSteps: Kind = {
  ...pureSteps,
  name: 'slow',
  weight: 3,
  start: (random) => ({ input: { count: random.between(2, 4), holdMs: random.between(100, 700) } }),
};

/** Steps of seconds: one whose worker stands still is begun elsewhere, and may be under way twice when that one wakes. */
export const lastingSteps: Kind = {
  ...pureSteps,
  name: 'lasting',
  weight: 1,
  start: () => ({ input: { count: 2, holdMs: 2_500 } }),
};

/** Accepted now, to be started later: Redis knows nothing of it until then. */
export const delayedRun: Kind = {
  ...pureSteps,
  name: 'delayed',
  weight: 1,
  start: (random) => ({ input: { count: 2, holdMs: 0 }, delayMs: random.between(200, 4_000) }),
};
