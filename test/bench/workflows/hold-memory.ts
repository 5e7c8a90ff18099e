import { setTimeout as wait } from 'node:timers/promises';
import { defineWorkflow } from '@flowstate/workflow';
import Type from 'typebox';

/** Holds ever more memory on the heap, in one step: 16 MiB each 100 ms, so that the process answers meanwhile. */
export const holdMemory = defineWorkflow(
  {
    name: 'bench-hold-memory',
    version: '1',
    description: 'Holds memory on the heap',
    input: Type.Object({ mb: Type.Integer({ minimum: 16, maximum: 65_536 }) }),
    output: Type.Object({ held: Type.Integer() }),
  },
  async (ctx, { mb }) => {
    const held = await ctx.step(
      'hold',
      async () => {
        const kept: number[][] = [];
        while (kept.length < mb) {
          for (let n = 0; n < 16; n++) kept.push(Array.from({ length: 2 ** 17 }, (_, at) => at + 0.5));
          await wait(100);
        }
        return kept.length;
      },
      { effect: 'pure' },
    );
    return { held };
  },
);
