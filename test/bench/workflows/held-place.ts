import { setTimeout as wait } from 'node:timers/promises';
import { defineWorkflow } from '@flowstate/workflow';
import Type from 'typebox';

const stepMs = 500;

/** Holds a place for some time and uses no CPU, as a run that waits for a model does; half a second a step. */
export const heldPlace = defineWorkflow(
  {
    name: 'bench-held-place',
    version: '1',
    description: 'Holds a place of a worker',
    input: Type.Object({ ms: Type.Integer({ minimum: 1, maximum: 600_000 }) }),
    output: Type.Object({ steps: Type.Integer() }),
  },
  async (ctx, { ms }) => {
    const steps = Math.ceil(ms / stepMs);
    for (let n = 1; n <= steps; n++) {
      await ctx.step(`hold-${n}`, async () => {
        await wait(Math.min(stepMs, ms - (n - 1) * stepMs));
        return n;
      });
    }
    return { steps };
  },
);
