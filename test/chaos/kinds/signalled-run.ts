import Type from 'typebox';
import { reportingWorkflow, type Kind, type RunInHand } from '../kind.ts';

const nobody = 'nobody';

export const signalledWorkflow = reportingWorkflow(
  'chaos-signalled',
  { when: Type.String(), timeoutMs: Type.Integer() },
  async (step, { when, timeoutMs }, ctx) => {
    const patience = when === 'never' ? { timeoutMs } : {};
    const heard = async () => ((await ctx.waitForSignal('go', patience))?.data ?? nobody) as string;
    return [
      await step('ask'),
      await step('first', { say: await heard() }),
      await step('second', { say: await heard(), effect: 'keyed' }),
    ];
  },
);

/** Waits for two signals, which its client numbers. */
export const signalledRun: Kind = {
  name: 'signalled',
  workflow: signalledWorkflow,
  weight: 3,
  start: (random) => ({
    input: {
      when: random.pick(['ahead', 'as it begins to wait', 'asleep', 'never']),
      timeoutMs: random.between(100, 2_000),
    },
  }),
  steps: () => ['ask', 'first', 'second'],
  async onEvent({ type, data }, hand) {
    const { when } = hand.run.input;
    if (when === 'ahead' && type === 'run.accepted') for (const number of [1, 2]) await send(number, hand);
    if (when === 'as it begins to wait' && type === 'wait.begun') await send(numberOf(data.name), hand);
    if (when === 'asleep' && type === 'run.waiting') await send(numberOf((data.for as string[])[0]), hand);
  },
  check({ run, recorded }) {
    const heard = [recorded.get('first'), recorded.get('second')].join(' and ');
    // A signal whose answer was lost is sent again: the run may hear it twice.
    const right = run.input.when === 'never' ? [`${nobody} and ${nobody}`] : ['1 and 2', '1 and 1'];
    return right.includes(heard) ? undefined : `it was sent 1 and 2 (${String(run.input.when)}) and heard ${heard}`;
  },
};

async function send(number: number, { id, client }: RunInHand): Promise<void> {
  // 409: an earlier try was taken, its answer lost, and the run is over.
  await client.call('POST', `/api/runs/${id}/signals/go`, { body: { data: String(number) }, allow: [202, 409] });
}

/** The second wait for one signal is called `signal:go#2`. */
function numberOf(wait: unknown): number {
  return Number(String(wait).split('#')[1]);
}
