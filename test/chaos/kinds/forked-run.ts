import { setTimeout as wait } from 'node:timers/promises';
import type { Kind } from '../kind.ts';
import { keyedEffects } from './keyed-effects.ts';

const fromStep = 'pack';
const before = new Set(['reserve', 'charge']);

const fork: Kind = {
  ...keyedEffects,
  name: 'fork',
  check({ executions }) {
    const again = executions.filter(({ step }) => before.has(step)).map(({ step }) => step);
    return again.length === 0 ? undefined : `a fork from ${fromStep} ran what came before: ${again.join(', ')}`;
  },
};

/** When it has completed its client has it forked from its middle: the rest is done anew, what came before is not. */
export const forkedRun: Kind = {
  ...keyedEffects,
  name: 'forked',
  weight: 1,
  fork,
  async onEvent({ type }, { id, run, client }) {
    if (type !== 'run.completed') return;
    for (;;) {
      // Not to be recognised as asked before: with every answer that is lost there may be one fork more.
      run.forks += 1;
      const answer = await client.once('POST', `/api/runs/${id}/fork`, { body: { fromStep } });
      if (answer?.status === 202) return;
      await wait(200);
    }
  },
};
