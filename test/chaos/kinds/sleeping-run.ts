import Type from 'typebox';
import { reportingWorkflow, type Facts, type Kind } from '../kind.ts';

export const sleepingWorkflow = reportingWorkflow(
  'chaos-sleeping',
  { shortMs: Type.Integer(), longMs: Type.Integer() },
  async (step, { shortMs, longMs }, ctx) => {
    const values = [await step('before')];
    await ctx.sleep(shortMs);
    values.push(await step('between', { effect: 'keyed' }));
    await ctx.sleep(longMs);
    return [...values, await step('after')];
  },
);

/** A short sleep, in the process, and one that leaves the worker free. */
export const sleepingRun: Kind = {
  name: 'sleeping',
  workflow: sleepingWorkflow,
  weight: 2,
  start: (random) => ({ input: { shortMs: random.between(50, 900), longMs: random.between(1_100, 2_500) } }),
  steps: () => ['before', 'between', 'after'],
  check(facts) {
    const { shortMs, longMs } = facts.run.input;
    return (
      tooEarly(facts, ['before', 'between'], Number(shortMs)) ?? tooEarly(facts, ['between', 'after'], Number(longMs))
    );
  },
};

/** Its client cancels it while it sleeps and nobody owns it. */
export const cancelledSleep: Kind = {
  ...sleepingRun,
  name: 'cancelled asleep',
  weight: 1,
  ends: ['cancelled', 'completed'],
  async onEvent({ type }, { id, client }) {
    if (type === 'run.waiting') await client.call('POST', `/api/runs/${id}/cancel`, { allow: [202, 409] });
  },
};

/** A sleep begins when the step before it has ended, so the next one cannot begin earlier than that. */
function tooEarly({ executions }: Facts, [before, after]: [string, string], ms: number): string | undefined {
  const ended = executions.find(({ step, endedAt }) => step === before && endedAt !== null)?.endedAt;
  const began = executions.find(({ step }) => step === after)?.beganAt;
  if (ended === undefined || ended === null || began === undefined || began >= ended + ms) return undefined;
  return `it slept ${began - ended} ms before ${after} instead of ${ms}`;
}
