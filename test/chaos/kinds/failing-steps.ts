import Type from 'typebox';
import { reportingWorkflow, type Kind } from '../kind.ts';

const retry = { attempts: 4, backoffMs: 40, maxBackoffMs: 200 };

export const failingWorkflow = reportingWorkflow(
  'chaos-failing',
  { failures: Type.Integer() },
  async (step, { failures }) => [
    await step('before'),
    await step('shaky', { retry, failures }),
    await step('shaky-effect', { retry, failures, effect: 'keyed' }),
  ],
);

const steps = () => ['before', 'shaky', 'shaky-effect'];

/** Fails, is tried again after a backoff, and succeeds. */
export const flakySteps: Kind = {
  name: 'flaky',
  workflow: failingWorkflow,
  weight: 2,
  start: (random) => ({ input: { failures: random.between(1, 3) } }),
  steps,
};

/** Uses up its tries and ends failed; its client has the far end repaired and retries the run from its failed step. */
export const retriedRun: Kind = {
  name: 'retried',
  workflow: failingWorkflow,
  weight: 1,
  start: () => ({ input: { failures: 100 } }),
  steps,
  async onEvent({ type }, { id, run, client, farEnd }) {
    if (type !== 'run.failed') return undefined;
    farEnd.repair(run.ticket);
    // 409: an earlier try was taken, its answer lost.
    await client.call('POST', `/api/runs/${id}/retry`, { allow: [202, 409] });
    return 'go-on';
  },
};

export const selfRetryingWorkflow = reportingWorkflow(
  'chaos-self-retrying',
  { failures: Type.Integer() },
  async (step, { failures }) => [
    await step('before'),
    await step('shaky', { failures }),
    await step('shaky-effect', { failures, effect: 'keyed' }),
  ],
  { retry: { attempts: 1 }, runRetry: { attempts: 9, backoffMs: 50, maxBackoffMs: 1_500 } },
);

/** Its steps are not tried again, the whole run is: it stands in the ledger's line until its next try is due. */
export const selfRetryingRun: Kind = {
  name: 'self-retried',
  workflow: selfRetryingWorkflow,
  weight: 1,
  start: (random) => ({ input: { failures: random.between(1, 3) } }),
  steps,
};
