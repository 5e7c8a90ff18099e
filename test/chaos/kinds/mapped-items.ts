import Type from 'typebox';
import { reportingWorkflow, type Kind } from '../kind.ts';

const itemsOf = (count: number) => Array.from({ length: count }, (_, index) => `items[${index}]/`);

export const mappedWorkflow = reportingWorkflow(
  'chaos-mapped',
  { items: Type.Integer(), concurrency: Type.Integer(), restMs: Type.Integer() },
  async (_step, { items, concurrency, restMs }, ctx, stepIn) => {
    const pairs = await ctx.map(
      itemsOf(items),
      async (prefix, scope, index) => {
        const step = stepIn(scope, prefix);
        const fetched = await step('fetch', { holdMs: 40 * (index % 3) });
        // Some rest in the process, some without a worker when all of them rest.
        await scope.sleep(restMs * (index % 2));
        return [fetched, await step('store', { effect: 'keyed', holdMs: 20 })];
      },
      { concurrency, name: 'items' },
    );
    return pairs.flat();
  },
);

/** Items worked on side by side, a few at a time, each with a pause in its middle. */
export const mappedItems: Kind = {
  name: 'mapped',
  workflow: mappedWorkflow,
  weight: 2,
  start: (random) => ({
    input: { items: random.between(2, 6), concurrency: random.between(1, 3), restMs: random.pick([0, 200, 1_200]) },
  }),
  steps: ({ items }) => itemsOf(Number(items)).flatMap((prefix) => [`${prefix}fetch`, `${prefix}store`]),
};
