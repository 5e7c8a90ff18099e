import type { Logger } from '@flowstate/runtime';
import type { Delivery, LanguageModel, QueueName, RunEvent } from '@flowstate/contracts';
import type { DeliveryResult, PublishNews } from '@flowstate/queue';
import { loadOwnedRuns, type ClaimedRun, type Served, type Sql } from '@flowstate/store';
import { executeRun, type Execution, type Outcome, type SpendingPort } from '@flowstate/workflow';
import { inRunSpan } from './run-span.ts';
import type { Authority, RunBackend } from './backend.ts';
import type { Catalogue } from './catalogue.ts';
import type { WorkerLedger } from './ledger-port.ts';
import { countedOutcomes, type WorkerMetrics } from './metrics.ts';

export type Runner = {
  /** Claims a delivered run and brings it to its end, or leaves it to its owner. */
  deliver(runId: string): Promise<DeliveryResult>;
  /**
   * The same for a run with which a worker died: resolves when it has left, or finished a step, which clears it of
   * suspicion. One at a time, so that a run that kills its worker is known by name.
   */
  deliverSuspect(runId: string): Promise<DeliveryResult>;
  /** Runs what the gateway accepted straight for this worker. */
  runOwned(runId: string): Promise<Outcome>;
  held(): string[];
  /** Places given back so far. A run that suspends gives its place back, and takes one again when it is woken. */
  served(): Served;
  cancel(runId: string): void;
  news(runId: string, inbox: number): void;
  /**
   * When the ledger was asked, the run was somebody else's or nobody's: what ran of it here by then stops, and records
   * nothing more. What was claimed since goes on. `askedAt`: `performance.now()`
   */
  lose(runId: string, askedAt: number): void;
  loseAll(): void;
  /** Hands unfinished runs back at their next step boundary; after `graceMs` at once. */
  drain(graceMs: number): Promise<void>;
};

type Options = {
  sql: Sql;
  log: Logger;
  catalogue: Catalogue;
  ledger: WorkerLedger;
  incarnation: () => number;
  backendFor: (runId: string, signal: AbortSignal) => RunBackend;
  /** The way to language models, where one is configured. */
  model?: LanguageModel | undefined;
  spending?: SpendingPort | undefined;
  publish: PublishNews;
  /** Hands runs to the queue; what it cannot take is delivered by the controller. */
  deliver: (deliveries: Delivery[]) => void;
  metrics: WorkerMetrics;
};

export function createRunner(options: Options): Runner {
  const { sql, log, catalogue, ledger, incarnation, backendFor, model, spending, publish, deliver, metrics } = options;
  const executions = new Map<string, Execution>();
  /** When each was begun, after its claim. */
  const since = new WeakMap<Execution, number>();
  const served: Served = {};
  let draining = false;
  /** Aborted by a drain: no run waits for the gateway then. */
  const asking = new AbortController();

  async function run(claimed: ClaimedRun, askedAt: number, onProgress?: () => void): Promise<Outcome> {
    try {
      return await inRunSpan(claimed, askedAt, () => workOn(claimed, onProgress));
    } catch (error) {
      // This worker lives: nobody would ever take from it what it owns and does not run.
      const delivery = await ledger.giveUp(claimed);
      if (delivery) deliver([delivery]);
      throw error;
    }
  }

  async function workOn(asClaimed: ClaimedRun, onProgress: () => void = () => {}): Promise<Outcome> {
    let claimed = asClaimed;
    const workflow = catalogue.find(claimed.workflow, claimed.version);
    // The claim takes only what this worker said it carries.
    if (workflow === undefined) throw new Error(`${claimed.workflow}@${claimed.version} is not carried here`);
    const labels = { workflow: workflow.name };
    if (claimed.recheck && !claimed.cancelled) {
      const held = await withoutAuthority(claimed);
      if (held !== null) {
        if (held.state === 'parked') metrics.runs.inc({ ...labels, status: held.state });
        log.warn({ runId: claimed.id, workflow: workflow.name, outcome: held.state }, 'run may not begin here');
        return held;
      }
    }
    if (!claimed.resumed) {
      metrics.runs.inc({ ...labels, status: 'started' });
      metrics.latency.observe(
        { ...labels, phase: 'queue' },
        Math.max(0, claimed.startedAt.getTime() - claimed.readyAt.getTime()) / 1000,
      );
    }
    log.debug({ runId: claimed.id, workflow: workflow.name, resumed: claimed.resumed }, 'run started');
    // Taken from here and given back before this worker heard of it: what still runs of it has to stop first.
    const earlier = executions.get(claimed.id);
    if (earlier !== undefined) {
      earlier.lose();
      await earlier.done.catch(() => {});
      // It may have written since, for the same owner: had Postgres forgotten its claim, say.
      const [now] = await loadOwnedRuns(sql, claimed.owner, [claimed.id]);
      if (now === undefined) return { state: 'lost' };
      claimed = { ...now, resumed: claimed.resumed || now.chunk > claimed.chunk };
    }
    const begun = performance.now();
    const execution = executeRun({
      run: claimed,
      workflow,
      ledger,
      backend: (signal) => backendFor(claimed.id, signal).call,
      model,
      spending,
      publish(news, json) {
        publish(claimed.id, json);
        if (Array.isArray(news) && news.some(({ type }) => type === 'step.completed')) onProgress();
      },
      onStep: ({ name, seconds }) => metrics.stepDone(workflow.name, name, seconds),
    });
    executions.set(claimed.id, execution);
    since.set(execution, begun);
    if (draining) execution.drain();
    try {
      const outcome = await execution.done;
      if (outcome.state === 'draining') await giveBack(claimed);
      metrics.latency.observe({ ...labels, phase: 'run' }, (performance.now() - begun) / 1000);
      if (countedStates.has(outcome.state)) metrics.runs.inc({ ...labels, status: outcome.state });
      if (outcome.state === 'lost') metrics.lost.inc();
      const level = outcome.state === 'completed' ? 'debug' : 'info';
      log[level]({ runId: claimed.id, workflow: workflow.name, outcome: outcome.state }, 'run left this worker');
      return outcome;
    } finally {
      if (executions.get(claimed.id) === execution) executions.delete(claimed.id);
      countStay(claimed.queue, (performance.now() - begun) / 1000);
    }
  }

  function countStay(queue: QueueName, seconds: number): void {
    const own = (served[queue] ??= { stays: 0, seconds: 0 });
    own.stays += 1;
    own.seconds += seconds;
  }

  /**
   * Access has changed since the run was accepted, so whether its owner may still run it is decided anew, before a
   * line of it runs. Null when they may; else how the run left: put aside for a person, or given back.
   */
  async function withoutAuthority(claimed: ClaimedRun): Promise<Outcome | null> {
    let authority: Authority;
    try {
      authority = await backendFor(claimed.id, asking.signal).authority();
    } catch (err) {
      log.warn({ err, runId: claimed.id }, 'nobody can say whether this run may begin: given back');
      await giveBack(claimed);
      return { state: 'draining' };
    }
    if (authority === 'granted') return null;
    if (authority === 'lost') {
      // In quarantine, mostly. But its owner may have been released, or others have kept its row, at that very moment.
      await giveBack(claimed);
      return { state: 'lost' };
    }
    const reason = 'Its owner may not run it any more';
    const seq = Math.max(claimed.seqBase + 2, claimed.events.at(-1)?.seq ?? 0) + 1;
    const parked: RunEvent = { seq, type: 'run.parked', at: new Date().toISOString(), data: { reason, step: '' } };
    const answer = await ledger.park({
      runId: claimed.id,
      owner: claimed.owner,
      chunk: claimed.chunk + 1,
      events: JSON.stringify([parked]),
    });
    if (answer !== 'released') return { state: 'lost' };
    publish(claimed.id, () => JSON.stringify([parked]));
    return { state: 'parked', reason };
  }

  async function giveBack(run: ClaimedRun): Promise<void> {
    const delivery = await ledger.handBack(run);
    if (delivery) deliver([delivery]);
  }

  async function take(runId: string, onProgress?: () => void): Promise<DeliveryResult> {
    const askedAt = Date.now();
    const claimed = await ledger.claim(runId);
    if (claimed === null) return { ok: true, note: 'not ready, or somebody else has it' };
    const outcome = await run(claimed, askedAt, onProgress);
    return outcome.state === 'failed'
      ? { ok: false, message: outcome.error.message }
      : { ok: true, note: outcome.state };
  }

  return {
    deliver: (runId) => take(runId),
    deliverSuspect(runId) {
      const { promise: cleared, resolve: clear } = Promise.withResolvers<DeliveryResult>();
      const left = take(runId, () => clear({ ok: true, note: 'cleared of suspicion, goes on' }));
      return Promise.race([left, cleared]);
    },
    async runOwned(runId) {
      const askedAt = Date.now();
      const [owned] = await loadOwnedRuns(sql, incarnation(), [runId]);
      return owned ? run(owned, askedAt) : { state: 'lost' };
    },
    held: () => [...executions.keys()],
    served: () => served,
    cancel: (runId) => executions.get(runId)?.cancel(),
    news: (runId, inbox) => executions.get(runId)?.news(inbox),
    lose(runId, askedAt) {
      const execution = executions.get(runId);
      if (execution !== undefined && (since.get(execution) ?? askedAt) < askedAt) execution.lose();
    },
    loseAll() {
      for (const execution of executions.values()) execution.lose();
    },
    async drain(graceMs) {
      draining = true;
      asking.abort();
      for (const execution of executions.values()) execution.drain();
      const force = setTimeout(() => {
        for (const execution of executions.values()) execution.handBack();
      }, graceMs);
      await Promise.allSettled([...executions.values()].map((execution) => execution.done));
      clearTimeout(force);
    },
  };
}

const countedStates: ReadonlySet<Outcome['state']> = new Set(countedOutcomes);
