import {
  createCheck,
  FlowstateError,
  type Effect,
  type RunError,
  type RunEvent,
  type RunProgress,
  type TerminalState,
} from '@flowstate/contracts';
import { createContext } from './context.ts';
import type { Backend, Workflow } from './definition.ts';
import { NonDeterminismError, RunInterrupt, StepError, type InterruptReason } from './interrupt.ts';
import { createJournal, type ChunkSource } from './journal.ts';
import { replayOf } from './replay.ts';
import { runStep } from './step.ts';

/** A claimed run, as the ledger gives it to its owner. */
export type OwnedRun = {
  id: string;
  /** JSON text. */
  input: string;
  chunk: number;
  seqBase: number;
  resumed: boolean;
  events: RunEvent[];
};

export type RunEnding = {
  runId: string;
  chunk: number;
  state: TerminalState;
  lastSeq: number;
  events: string;
  output: string | null;
  error: string | null;
};

/** The engine's only way to the outside. Both calls wait out an outage of the ledger instead of failing. */
export type LedgerPort = {
  writeChunk(source: ChunkSource): Promise<boolean>;
  finish(ending: RunEnding): Promise<'finished' | 'cancel-requested' | 'lost'>;
};

export type RunOptions = {
  run: OwnedRun;
  workflow: Workflow;
  ledger: LedgerPort;
  backend: (signal: AbortSignal) => Backend;
  /** Recorded events after their commit, and live progress as it comes. */
  publish: (news: RunEvent[] | RunProgress) => void;
  onStep?: (step: { name: string; effect: Effect; seconds: number; ok: boolean }) => void;
};

export type Outcome =
  | { state: 'completed'; output: unknown }
  | { state: 'failed'; error: RunError }
  | { state: 'cancelled' }
  /** Not ended here: another owner has it, it is to be given back, or a person must decide. */
  | { state: 'lost' | 'draining' }
  | { state: 'parked'; reason: string };

export type Execution = {
  done: Promise<Outcome>;
  cancel(): void;
  lose(): void;
  /** Stops at the next step boundary; steps under way may still end. */
  drain(): void;
  /** Stops now; a pure step under way will run again elsewhere. */
  handBack(): void;
};

/** Runs (or goes on with) a workflow run this process owns, to its end or until it is interrupted. */
export function executeRun({ run, workflow, ledger, backend, publish, onStep = () => {} }: RunOptions): Execution {
  const abort = new AbortController();
  const replay = replayOf(run.events, run.seqBase);
  const underWay = new Set<Promise<unknown>>();
  let draining = false;
  let parkedBecause = '';

  function interrupt(reason: InterruptReason): RunInterrupt {
    const error = new RunInterrupt(reason);
    if (!abort.signal.aborted) abort.abort(error);
    return error;
  }

  const journal = createJournal({
    runId: run.id,
    chunk: run.chunk,
    lastSeq: replay.lastSeq,
    writeChunk: (source) => ledger.writeChunk(source),
    publish,
    onFailure: (error) => {
      if (!abort.signal.aborted) abort.abort(error);
    },
  });

  const context = createContext({
    runId: run.id,
    replay,
    journal,
    signal: abort.signal,
    backend: backend(abort.signal),
    publish,
    async execute(name, fn, options) {
      abort.signal.throwIfAborted();
      if (draining) {
        await Promise.allSettled(underWay);
        throw interrupt('draining');
      }
      const step = runStep(
        {
          runId: run.id,
          replay,
          journal,
          publish,
          onStep,
          signal: abort.signal,
          defaultRetry: workflow.retry,
          park(reason) {
            parkedBecause = reason;
            throw interrupt('parked');
          },
        },
        name,
        fn,
        options,
      );
      underWay.add(step);
      try {
        return await step;
      } finally {
        underWay.delete(step);
      }
    },
  });

  async function runToEnd(): Promise<Outcome> {
    if (run.resumed) journal.record('run.resumed', { stepsDone: replay.results.size });
    let outcome: Outcome;
    try {
      const interrupted = new Promise<never>((_, reject) => {
        abort.signal.addEventListener('abort', () => reject(abort.signal.reason as Error), { once: true });
      });
      const input = createCheck(workflow.input, { root: 'input' })(JSON.parse(run.input));
      const output = await Promise.race([workflow.run(context, input), interrupted]);
      abort.signal.throwIfAborted(); // the function may have swallowed its interrupt
      context.checkReplayed();
      outcome = { state: 'completed', output: createCheck(workflow.output, { root: 'output' })(output) };
    } catch (error) {
      const reason: unknown = abort.signal.aborted ? abort.signal.reason : error;
      outcome =
        reason instanceof RunInterrupt ? interruptedOutcome(reason) : { state: 'failed', error: toRunError(reason) };
    }
    try {
      return await settle(outcome);
    } catch (error) {
      if (error instanceof RunInterrupt && error.reason === 'lost') return { state: 'lost' };
      throw error;
    }
  }

  function interruptedOutcome({ reason }: RunInterrupt): Outcome {
    return reason === 'parked' ? { state: 'parked', reason: parkedBecause } : { state: reason };
  }

  async function settle(outcome: Outcome): Promise<Outcome> {
    if (outcome.state === 'lost') return outcome;
    if (outcome.state === 'draining' || outcome.state === 'parked') {
      if (outcome.state === 'parked') journal.record('run.parked', { reason: outcome.reason });
      await journal.flushed();
      return outcome;
    }
    const rest = await journal.close();
    const ending: RunEnding = {
      runId: run.id,
      chunk: rest.chunk,
      state: outcome.state,
      lastSeq: rest.lastSeq + 1,
      events: JSON.stringify(rest.events),
      output: outcome.state === 'completed' ? JSON.stringify(outcome.output) : null,
      error: outcome.state === 'failed' ? JSON.stringify(outcome.error) : null,
    };
    let answer = await ledger.finish(ending);
    if (answer === 'cancel-requested') {
      outcome = { state: 'cancelled' };
      answer = await ledger.finish({ ...ending, state: 'cancelled', output: null, error: null });
    }
    if (answer === 'lost') return { state: 'lost' };
    publish([...rest.events, terminalEvent(ending, outcome)]);
    return outcome;
  }

  return {
    done: runToEnd(),
    cancel: () => void interrupt('cancelled'),
    lose: () => void interrupt('lost'),
    drain: () => {
      draining = true;
    },
    handBack: () => void interrupt('draining'),
  };
}

function terminalEvent(ending: RunEnding, outcome: Outcome): RunEvent {
  const error = outcome.state === 'failed' ? { ...outcome.error, stack: undefined } : undefined;
  return {
    seq: ending.lastSeq,
    type: `run.${outcome.state as TerminalState}`,
    at: new Date().toISOString(),
    data: error ? { error } : {},
  };
}

function toRunError(error: unknown): RunError {
  const cause = error instanceof StepError ? error.cause : error;
  const code =
    cause instanceof FlowstateError
      ? cause.code
      : error instanceof NonDeterminismError
        ? 'non_deterministic'
        : error instanceof StepError
          ? 'step_error'
          : 'workflow_error';
  const message = cause instanceof Error ? cause.message : String(cause);
  const stack = cause instanceof Error ? cause.stack : undefined;
  return {
    code,
    message,
    ...(error instanceof StepError && { step: error.step }),
    ...(stack !== undefined && { stack }),
  };
}
