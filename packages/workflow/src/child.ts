import { createCheck, FlowstateError, OneOf, Nullable, RunError, runStates } from '@flowstate/contracts';
import Type, { type Static, type TSchema } from 'typebox';
import type { Backend } from './backend.ts';
import type { StepContext, StepOptions, Workflow } from './definition.ts';
import type { Waits } from './waits.ts';

const Started = Type.Object({ id: Type.String() });
const Ended = Type.Object({ state: OneOf(runStates), output: Type.Unknown(), error: Nullable(RunError) });

type Environment = {
  runId: string;
  backend: Backend;
  step: <T>(name: string, fn: (step: StepContext) => Promise<T> | T, options?: StepOptions) => Promise<T>;
  wait: Waits['wait'];
};

/**
 * A run started by another one, with the authority of the same person: started once (its idempotency key is the
 * step's), waited for without a worker, its output recorded by the parent.
 */
export async function runChild<O extends TSchema>(
  { runId, backend, step, wait }: Environment,
  workflow: Pick<Workflow<TSchema, O>, 'name' | 'output'>,
  input: unknown,
  name: string,
): Promise<Static<O>> {
  const id = await step(
    `${name}.start`,
    async ({ idempotencyKey, signal }) => {
      const started = await backend(
        {
          operation: 'runs.start',
          method: 'POST',
          path: `/api/workflows/${encodeURIComponent(workflow.name)}/runs`,
          body: { input, parentId: runId },
          idempotencyKey,
          response: Started,
        },
        signal,
      );
      return started.id;
    },
    { effect: 'keyed' },
  );
  await wait({ kind: 'child', name: `${name}.end`, child: id });
  const checkOutput = createCheck(workflow.output, { root: `${workflow.name}.output` });
  return step(`${name}.result`, async ({ signal }) => {
    const { state, output, error } = await backend(
      { operation: 'runs.read', path: `/api/runs/${id}`, response: Ended },
      signal,
    );
    if (state === 'completed') return checkOutput(output);
    throw new FlowstateError('upstream_failed', `Child run ${id} ${state}${error ? `: ${error.message}` : ''}`, {
      retryable: false,
    });
  });
}
