import { createCheck, type LanguageModel, type Role, type RunProgress } from '@flowstate/contracts';
import { inSpan } from '@flowstate/tracing';
import type { Static, TSchema } from 'typebox';
import { ask } from './ask.ts';
import { runChild } from './child.ts';
import type { Backend } from './backend.ts';
import type { Agent, StepContext, StepOptions, WorkflowContext } from './definition.ts';
import { NonDeterminismError, StepError } from './interrupt.ts';
import type { Journal } from './journal.ts';
import { mapConcurrently } from './map.ts';
import type { Replay, Settlement } from './replay.ts';
import { createReplayOrder } from './replay-order.ts';
import { recordedError } from './recorded-error.ts';
import type { SpendingPort } from './spending.ts';
import type { WaitFor, Waits } from './waits.ts';

type Environment = {
  runId: string;
  /** Its workflow's name. */
  workflow: string;
  /** Of whoever started the run. */
  role: Role;
  /** Null: none is configured here. */
  model: LanguageModel | null;
  spending: SpendingPort | undefined;
  replay: Replay;
  journal: Journal;
  waits: Waits;
  signal: AbortSignal;
  backend: Backend;
  now: () => number;
  publish: (progress: RunProgress) => void;
  /** A large value that is on record. */
  load: (ref: string) => Promise<unknown>;
  /** The code no longer asks for what is on record. */
  onStall: (error: Error) => void;
  /** Runs a step that has no result yet, unless the run is to stop here. */
  execute: <T>(name: string, fn: (step: StepContext) => Promise<T> | T, options: StepOptions) => Promise<T>;
};

export type ReplayableContext = WorkflowContext & {
  /** Throws when a recorded step was not asked for again: the code no longer fits its journal. */
  checkReplayed(): void;
};

/** What the workflow's function sees: what has ended answers from the journal, in recorded order; the rest runs. */
export function createContext(env: Environment): ReplayableContext {
  const { replay, journal, waits, publish, runId, signal, backend } = env;
  const order = createReplayOrder({ ...replay, load: env.load, onFailure: env.onStall });
  const asked = new Set<string>();

  /** The recorded ending of `name`, or `live` once everything recorded has been given back. */
  async function settle<T>(name: string, live: () => Promise<T>): Promise<T> {
    if (asked.has(name)) {
      throw new NonDeterminismError(`Step ${name} came twice in one run: every step needs its own name`);
    }
    asked.add(name);
    const recorded = order.take(name);
    if (recorded !== undefined) return valueOf(name, await recorded) as T;
    const drained = order.drained(name);
    const failure = drained === undefined ? undefined : await drained;
    if (failure !== undefined) return valueOf(name, failure) as T;
    return live();
  }

  function scope(prefix: string): WorkflowContext {
    const counters = new Map<string, number>();
    const counted = (kind: string) => {
      const count = (counters.get(kind) ?? 0) + 1;
      counters.set(kind, count);
      return `${prefix}${kind}#${count}`;
    };

    function recorded<T>(name: string, compute: () => T): T {
      if (replay.values.has(name)) return replay.values.get(name) as T;
      const value = compute();
      journal.record('value.recorded', { name, value });
      return value;
    }

    const step: WorkflowContext['step'] = (name, fn, options = {}) =>
      settle(prefix + name, () => env.execute(prefix + name, fn, options));
    const wait = (what: WaitFor) => settle(what.name, () => waits.wait(what));
    const progress = (data: Record<string, unknown>) =>
      publish({ type: 'progress', at: new Date(env.now()).toISOString(), data });

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
          async (context) => {
            const given = checkInput(input);
            const run = async () => agent.run({ runId, signal: context.signal, backend, progress }, given);
            // https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-agent-spans/
            const attributes = { 'gen_ai.operation.name': 'invoke_agent', 'gen_ai.agent.name': agent.name };
            return checkOutput(await inSpan(`invoke_agent ${agent.name}`, { attributes }, run));
          },
          options,
        );
      },
      ask(agent, input, { name = agent.name } = {}) {
        const { workflow, role, model, spending } = env;
        return ask(
          {
            runId,
            workflow,
            role,
            model,
            spending,
            backend,
            prefix,
            step,
            wait: (what) => wait({ ...what, name: prefix + what.name }),
            recorded: (key, compute) => recorded(prefix + key, compute),
            progress,
          },
          agent,
          input,
          name,
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
      async race(branches) {
        const all = branches as readonly Promise<unknown>[];
        for (const branch of all) branch.catch(() => {}); // a loser's failure is nobody's
        const name = counted('race');
        const won = replay.values.get(name) as number | undefined;
        if (won !== undefined) return all[won];
        const first = await Promise.race(
          all.map((branch, index) =>
            branch.then(
              () => index,
              () => index,
            ),
          ),
        );
        journal.record('value.recorded', { name, value: first });
        return all[first];
      },
      map(items, fn, { concurrency = 10, name } = {}) {
        const base = name === undefined ? counted('map') : prefix + name;
        return mapConcurrently(items, concurrency, (item, index) => fn(item, scope(`${base}[${index}]/`), index));
      },
      async sleep(ms) {
        await wait({ kind: 'time', name: counted('sleep'), timeoutMs: Math.max(0, ms) });
      },
      async waitForSignal(signalName, { timeoutMs, approval = false, name } = {}) {
        return (await wait({
          kind: 'signal',
          name: name === undefined ? counted(`signal:${signalName}`) : prefix + name,
          signal: signalName,
          approval,
          ...(timeoutMs !== undefined && { timeoutMs }),
        })) as never;
      },
      child: (workflow, input, { name = workflow.name } = {}) =>
        runChild(
          { runId, backend, step, wait: (what) => wait({ ...what, name: prefix + what.name }) },
          workflow,
          input,
          name,
        ),
      now: () => new Date(recorded(counted('now'), env.now)),
      random: () => recorded(counted('random'), Math.random),
    };
  }

  return {
    ...scope(''),
    checkReplayed() {
      const vanished = [...replay.settled.keys()].filter((name) => !asked.has(name));
      if (vanished.length > 0) {
        throw new NonDeterminismError(`Recorded steps were not asked for on replay: ${vanished.join(', ')}`);
      }
    },
  };
}

function valueOf(step: string, settlement: Settlement): unknown {
  if ('value' in settlement) return settlement.value;
  throw new StepError(step, recordedError(settlement.error), settlement.tries);
}
