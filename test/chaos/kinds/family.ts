import Type from 'typebox';
import { Output, reportingWorkflow, type Kind } from '../kind.ts';
import { pureSteps, pureWorkflow } from './pure-steps.ts';

const childNames = (children: number) => Array.from({ length: children }, (_, index) => `child-${index + 1}`);
const childSteps = { count: 2, holdMs: 60 };

export const familyWorkflow = reportingWorkflow(
  'chaos-family',
  { children: Type.Integer() },
  async (step, { children, farEnd, ticket }, ctx) => {
    const plan = await step('plan');
    const born = await ctx.all(
      childNames(children).map((name) =>
        ctx.child(
          { name: pureWorkflow.name, output: Output },
          { ...childSteps, farEnd, ticket: `${ticket}.${name}` },
          { name },
        ),
      ),
    );
    return [plan, await step('join', { say: born.flatMap(({ values }) => values).join(' '), effect: 'keyed' })];
  },
  // Children are started through one gateway, which is away for as long as a busy machine takes to start it again.
  { retry: { attempts: 50, backoffMs: 200, maxBackoffMs: 2_000 } },
);

const child: Kind = { ...pureSteps, name: 'child' };

/** Starts other runs through the API, each once, and sleeps until they have ended. */
export const family: Kind = {
  name: 'family',
  workflow: familyWorkflow,
  weight: 2,
  start: (random) => ({ input: { children: random.between(1, 3) } }),
  steps: () => ['plan', 'join'],
  children: ({ children }) => Object.fromEntries(childNames(Number(children)).map((name) => [name, child])),
  check({ run, recorded, state }) {
    if (state !== 'completed') return undefined;
    const names = childNames(Number(run.input.children));
    const said = names.flatMap((name) => [1, 2].map((n) => `${run.ticket}.${name}/step-${n}`)).join(' ');
    return recorded.get('join') === said ? undefined : `it joined ${String(recorded.get('join'))} instead of ${said}`;
  },
};

const ends = ['cancelled', 'completed'];

/** Cancelled once its first child was started: what it started goes with it, unless that was over. */
export const cancelledFamily: Kind = {
  ...family,
  name: 'cancelled family',
  weight: 1,
  ends,
  children: ({ children }) =>
    Object.fromEntries(childNames(Number(children)).map((name) => [name, { ...child, ends }])),
  async onEvent({ type, data }, { id, client }) {
    if (type === 'step.completed' && data.name === 'child-1.start')
      await client.call('POST', `/api/runs/${id}/cancel`, { allow: [202, 409] });
  },
};
