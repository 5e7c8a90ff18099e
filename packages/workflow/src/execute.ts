import {
  createCheck,
  expiredError,
  type PayloadRef,
  type RunError,
  type RunEvent,
  type RunProgress,
  type TerminalState,
} from '@flowstate/contracts';
import { createContext } from './context.ts';
import type { Execution, Outcome, RunOptions } from './execution.ts';
import { RunInterrupt, type InterruptReason } from './interrupt.ts';
import { createJournal } from './journal.ts';
import { isLarge, resultJson, type Recorded } from './large-results.ts';
import type { RunEnding } from './ledger-port.ts';
import { replayOf } from './replay.ts';
import { createSuspender } from './suspender.ts';
import { isWorthRetrying, toRunError } from './run-error.ts';
import { backoff, runStep } from './step.ts';
import { runTimeout } from './run-timeout.ts';
import { createWaits } from './waits.ts';

/** Runs (or goes on with) a workflow run this process owns, to its end or until it is interrupted. */
export function executeRun(options: RunOptions): Execution {
  const { run, workflow, ledger, backend, model = null, spending, publish, onStep = () => {} } = options;
  const abort = new AbortController();
  const replay = replayOf(run.events, run.seqBase);
  let underWay = 0;
  let draining = false;
  let parkedFor = { reason: '', step: '' };
  /** Unsafe effects under way: whether they took place is known only once their results are there. */
  const inDoubt = new Set([...replay.intents].filter(([, effect]) => effect === 'unsafe').map(([name]) => name));

  const publishStep = (progress: RunProgress) => publish(progress, () => JSON.stringify(progress));
  /** Made into text at once: what cannot be is an error of the code that tells it. */
  function publishProgress(progress: RunProgress): void {
    const json = JSON.stringify(progress);
    publish(progress, () => json);
  }
  const interrupted = new Promise<never>((_, reject) => {
    abort.signal.addEventListener('abort', () => reject(abort.signal.reason as Error), { once: true });
  });
  interrupted.catch(() => {});

  function fail(error: Error): Error {
    if (!abort.signal.aborted) abort.abort(error);
    return error;
  }
  const interrupt = (reason: InterruptReason) => fail(new RunInterrupt(reason));

  const journal = createJournal({
    runId: run.id,
    owner: run.owner,
    chunk: run.chunk,
    lastSeq: replay.lastSeq,
    writeChunk: (source) => ledger.writeChunk(source),
    publish,
    onFailure: fail,
  });
  const waits = createWaits({
    principalId: run.principalId,
    replay,
    journal,
    inbox: run.inbox,
    now: ledger.now,
    onWaiting: () => idle(),
  });
  const timeout = runTimeout({ startedAt: run.startedAt, timeoutMs: workflow.timeoutMs, now: ledger.now, fail });
  const suspend = createSuspender({ runId: run.id, journal, waits, ledger, deadline: timeout.deadline, interrupt });

  /** Nothing is under way any more: a run that only waits leaves, and so does one that drains. */
  function idle(): void {
    // A turn later: what has just ended may begin something else.
    setImmediate(() => {
      if (underWay > 0 || abort.signal.aborted) return;
      if (draining) interrupt('draining');
      else suspend().catch(fail);
    });
  }

  async function storeLarge(json: string): Promise<PayloadRef> {
    const ref = await ledger.storePayload({ runId: run.id, owner: run.owner, json });
    if (ref === null) throw interrupt('lost');
    return ref;
  }

  const context = createContext({
    runId: run.id,
    workflow: workflow.name,
    role: run.role,
    model,
    spending,
    replay,
    journal,
    waits,
    signal: abort.signal,
    backend: backend(abort.signal),
    now: ledger.now,
    publish: publishProgress,
    load: async (ref) => JSON.parse(await ledger.loadPayload(run.id, ref)) as unknown,
    onStall: fail,
    async execute(name, fn, options) {
      abort.signal.throwIfAborted();
      if (draining) {
        idle();
        await interrupted;
      }
      return runStep(
        {
          runId: run.id,
          replay,
          journal,
          publish: publishStep,
          onStep,
          signal: abort.signal,
          interrupted,
          defaultRetry: workflow.retry,
          now: ledger.now,
          until: waits.until,
          storeLarge,
          async underWay(work) {
            underWay += 1;
            try {
              return await work();
            } finally {
              underWay -= 1;
              if (underWay === 0) idle();
            }
          },
          confirmed: ledger.confirmed,
          inDoubt,
          park(reason, step) {
            parkedFor = { reason, step };
            throw interrupt('parked');
          },
        },
        { name, fn, options },
      );
    },
  });

  async function runToEnd(): Promise<Outcome> {
    if (run.cancelled) interrupt('cancelled');
    if (run.resumed) journal.record('run.resumed', { stepsDone: replay.settled.size });
    let outcome: Outcome;
    let failure: unknown;
    let recorded: Recorded | undefined;
    try {
      const input = createCheck(workflow.input, { root: 'input' })(JSON.parse(run.input));
      abort.signal.throwIfAborted();
      const output = await Promise.race([workflow.run(context, input), interrupted]);
      abort.signal.throwIfAborted(); // the function may have swallowed its interrupt
      context.checkReplayed();
      outcome = { state: 'completed', output: createCheck(workflow.output, { root: 'output' })(output) };
      const json = resultJson('The output', outcome.output);
      recorded = { json, outputRef: isLarge(json) ? await Promise.race([storeLarge(json), interrupted]) : undefined };
    } catch (error) {
      failure = abort.signal.aborted ? abort.signal.reason : error;
      outcome =
        failure instanceof RunInterrupt ? interruptedOutcome(failure) : { state: 'failed', error: toRunError(failure) };
    }
    fail(over); // branches nobody waited for begin nothing more
    waits.stop();
    timeout.clear();
    try {
      return outcome.state === 'failed' && mayRetry(failure)
        ? await postpone(outcome.error)
        : await settle(outcome, recorded);
    } catch (error) {
      if (error instanceof RunInterrupt && error.reason === 'lost') return { state: 'lost' };
      throw error;
    }
  }

  function interruptedOutcome({ reason }: RunInterrupt): Outcome {
    const [doubtful] = inDoubt;
    if (reason === 'cancelled' && doubtful !== undefined) {
      parkedFor = { reason: `Cancelled while step ${doubtful} may have taken effect`, step: doubtful };
      return { state: 'parked', reason: parkedFor.reason };
    }
    return reason === 'parked' ? { state: 'parked', reason: parkedFor.reason } : { state: reason };
  }

  function mayRetry(failure: unknown): boolean {
    return failure !== timeout.error && replay.retries + 1 < workflow.runRetry.attempts && isWorthRetrying(failure);
  }

  /** The run goes on from its failed step later, with all steps' tries counted anew. */
  async function postpone(error: RunError): Promise<Outcome> {
    const delayMs = backoff(workflow.runRetry, replay.retries + 1);
    const { stack: _stack, ...shown } = error;
    const data = { auto: true, retry: replay.retries + 1, inMs: delayMs, error: shown };
    const answer = await journal.release('run.retried', data, (release) => ledger.postpone({ ...release, delayMs }));
    return answer === 'news' ? settle({ state: 'cancelled' }) : { state: answer === 'released' ? 'postponed' : 'lost' };
  }

  async function settle(outcome: Outcome, output?: Recorded): Promise<Outcome> {
    if (outcome.state === 'waiting') return outcome;
    if (outcome.state === 'lost') {
      // This worker may get it again: then nothing may be written behind its back.
      await journal.abandon();
      return outcome;
    }
    if (outcome.state === 'draining') {
      await journal.flushed();
      return outcome;
    }
    if (outcome.state === 'parked') {
      const answer = await journal.release('run.parked', parkedFor, (release) => ledger.park(release));
      return answer === 'released' ? outcome : { state: 'lost' };
    }
    const rest = await journal.close();
    const ending: RunEnding = {
      runId: run.id,
      owner: run.owner,
      chunk: rest.chunk,
      state: outcome.state as TerminalState,
      lastSeq: rest.lastSeq + 1,
      events: rest.text,
      output: output === undefined || output.outputRef ? null : output.json,
      outputRef: output?.outputRef?.ref ?? null,
      error: outcome.state === 'failed' ? JSON.stringify(outcome.error) : null,
      isChild: run.parentId !== null,
      ...(rest.settled && { settled: rest.settled }),
    };
    let answer = await ledger.finish(ending);
    if (answer === 'cancel-requested') {
      outcome = { state: 'cancelled' };
      Object.assign(ending, { state: 'cancelled', output: null, outputRef: null, error: null });
      answer = await ledger.finish(ending);
    }
    if (answer === 'expired') outcome = { state: 'cancelled', error: expiredError };
    if (answer === 'lost') return { state: 'lost' };
    const end = terminalEvent(ending, outcome);
    publish([...rest.events, end], () => {
      const before = rest.text.slice(1, -1);
      return `[${before}${before && ','}${JSON.stringify(end)}]`;
    });
    return outcome;
  }

  return {
    done: runToEnd(),
    cancel: () => void interrupt('cancelled'),
    lose: () => void interrupt('lost'),
    news(inbox) {
      if (!abort.signal.aborted) suspend.news(inbox).catch(fail);
    },
    drain() {
      draining = true;
      idle();
    },
    handBack: () => void interrupt('draining'),
  };
}

/** The end of every run: made once, since an error is expensive for its stack. */
const over = new RunInterrupt('over');

function terminalEvent(ending: RunEnding, outcome: Outcome): RunEvent {
  const failure = outcome.state === 'failed' || outcome.state === 'cancelled' ? outcome.error : undefined;
  const error = failure && { ...failure, stack: undefined };
  return {
    seq: ending.lastSeq,
    type: `run.${ending.state}`,
    at: new Date().toISOString(),
    data: error ? { error } : {},
  };
}
