import { createCheck, type RunProgress } from '@flowstate/contracts';
import type { Static, TSchema } from 'typebox';
import type { Agent, Backend, StepContext, StepOptions, WorkflowContext } from './definition.ts';
import { NonDeterminismError } from './interrupt.ts';
import type { Journal } from './journal.ts';
import type { Replay } from './replay.ts';

type Environment = {
  runId: string;
  replay: Replay;
  journal: Journal;
  signal: AbortSignal;
  backend: Backend;
  publish: (progress: RunProgress) => void;
  /** Runs a step that has no result yet, unless the run is to stop here. */
  execute: <T>(name: string, fn: (step: StepContext) => Promise<T> | T, options: StepOptions) => Promise<T>;
};

export type ReplayableContext = WorkflowContext & {
  /** Throws when a recorded step was not asked for again: the code no longer fits its journal. */
  checkReplayed(): void;
};

/** What the workflow's function sees: finished steps answer from the journal, others run. */
export function createContext(env: Environment): ReplayableContext {
  const { replay, journal, publish, runId, signal, backend } = env;
  const asked = new Set<string>();
  const counters = new Map<string, number>();

  function step<T>(name: string, fn: (step: StepContext) => Promise<T> | T, options: StepOptions = {}): Promise<T> {
    if (asked.has(name)) {
      return Promise.reject(
        new NonDeterminismError(`Step ${name} came twice in one run: every step needs its own name`),
      );
    }
    asked.add(name);
    if (replay.results.has(name)) return Promise.resolve(replay.results.get(name) as T);
    return env.execute(name, fn, options);
  }

  function recorded<T>(kind: string, compute: () => T): T {
    const count = (counters.get(kind) ?? 0) + 1;
    counters.set(kind, count);
    const name = `${kind}#${count}`;
    if (replay.values.has(name)) return replay.values.get(name) as T;
    const value = compute();
    journal.record('value.recorded', { name, value });
    return value;
  }

  const progress = (data: Record<string, unknown>) => publish({ type: 'progress', at: new Date().toISOString(), data });

  return {
    runId,
    signal,
    backend,
    step,
    progress,
    agent<I extends TSchema, O extends TSchema>(
      agent: Agent<I, O>,
      input: Static<I>,
      { name = agent.name, ...options }: { name?: string } & StepOptions = {},
    ): Promise<Static<O>> {
      const checkInput = createCheck(agent.input, { root: `${agent.name}.input` });
      const checkOutput = createCheck(agent.output, { root: `${agent.name}.output` });
      return step(
        name,
        async (context) =>
          checkOutput(await agent.run({ runId, signal: context.signal, backend, progress }, checkInput(input))),
        options,
      );
    },
    async all(branches) {
      // Others may be in the middle of a step: they come to its end before the failure is reported.
      const settled = await Promise.allSettled(branches as Promise<unknown>[]);
      return settled.map((result) => {
        if (result.status === 'rejected') throw result.reason;
        return result.value;
      }) as never;
    },
    now: () => new Date(recorded('now', () => Date.now())),
    random: () => recorded('random', Math.random),
    checkReplayed() {
      const vanished = [...replay.results.keys()].filter((name) => !asked.has(name));
      if (vanished.length > 0) {
        throw new NonDeterminismError(`Recorded steps were not asked for on replay: ${vanished.join(', ')}`);
      }
    },
  };
}
