import Type from 'typebox';
import { reportingWorkflow, type Kind } from '../kind.ts';

const branches = (width: number) => Array.from({ length: width }, (_, index) => `branch-${index + 1}`);

export const fanOutWorkflow = reportingWorkflow(
  'chaos-fan-out',
  { width: Type.Integer(), holdMs: Type.Integer() },
  async (step, { width, holdMs }, ctx) => {
    const values = await ctx.all(
      branches(width).map((name, index) =>
        step(name, { effect: index % 3 === 0 ? 'keyed' : 'pure', holdMs: holdMs * index }),
      ),
    );
    return [...values, await step('join')];
  },
);

/** Branches side by side, every third one with an effect; a fault finds some of them recorded and some not. */
export const fanOut: Kind = {
  name: 'fan-out',
  workflow: fanOutWorkflow,
  weight: 2,
  start: (random) => ({ input: { width: random.between(3, 8), holdMs: random.between(0, 100) } }),
  steps: ({ width }) => [...branches(Number(width)), 'join'],
};
