import type { Logger } from '@flowstate/runtime';
import type { Delivery, DeliveryResult, RunNews } from '@flowstate/queue';
import { handBackRun, loadOwnedRuns, parkRun, type ClaimedRun, type Sql } from '@flowstate/store';
import { executeRun, type Backend, type Execution, type Outcome } from '@flowstate/workflow';
import type { Catalogue } from './catalogue.ts';
import type { WorkerLedger } from './ledger-port.ts';
import type { WorkerMetrics } from './metrics.ts';

export type Runner = {
  /** Claims a delivered run and brings it to its end, or leaves it to its owner. */
  deliver(runId: string): Promise<DeliveryResult>;
  /** Runs what the gateway accepted straight for this worker. */
  runOwned(runId: string): Promise<Outcome>;
  held(): string[];
  cancel(runId: string): void;
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
  backendFor: (runId: string, signal: AbortSignal) => Backend;
  publish: (runId: string, news: RunNews) => void;
  deliver: (deliveries: Delivery[]) => Promise<void>;
  metrics: WorkerMetrics;
};

export function createRunner(options: Options): Runner {
  const { sql, log, catalogue, ledger, incarnation, backendFor, publish, deliver, metrics } = options;
  const executions = new Map<string, Execution>();
  let draining = false;

  async function run(claimed: ClaimedRun): Promise<Outcome> {
    const workflow = catalogue.find(claimed.workflow, claimed.version);
    if (workflow === undefined) {
      // Another bundle's run on our queue: give it back, its own workers will take it.
      log.warn({ runId: claimed.id, workflow: claimed.workflow, version: claimed.version }, 'version not carried here');
      await giveBack(claimed.id);
      return { state: 'draining' };
    }
    const labels = { workflow: workflow.name };
    metrics.runs.inc({ ...labels, status: 'started' });
    metrics.latency.observe(
      { ...labels, phase: 'queue' },
      (claimed.startedAt.getTime() - claimed.readyAt.getTime()) / 1000,
    );
    log.info({ runId: claimed.id, workflow: workflow.name, resumed: claimed.resumed }, 'run started');
    const begun = performance.now();
    const execution = executeRun({
      run: claimed,
      workflow,
      ledger,
      backend: (signal) => backendFor(claimed.id, signal),
      publish: (news) => publish(claimed.id, news),
      // `embed#17` is the 17th round of `embed`: rounds would be labels without bound.
      onStep: ({ name, seconds }) => metrics.steps.observe({ ...labels, step: name.replace(/#\d+$/, '') }, seconds),
    });
    executions.set(claimed.id, execution);
    if (draining) execution.drain();
    try {
      const outcome = await execution.done;
      await settle(claimed.id, outcome);
      metrics.latency.observe({ ...labels, phase: 'run' }, (performance.now() - begun) / 1000);
      if (outcome.state !== 'lost' && outcome.state !== 'draining') {
        metrics.runs.inc({ ...labels, status: outcome.state });
      }
      log.info({ runId: claimed.id, workflow: workflow.name, outcome: outcome.state }, 'run left this worker');
      return outcome;
    } finally {
      executions.delete(claimed.id);
    }
  }

  async function settle(runId: string, outcome: Outcome): Promise<void> {
    if (outcome.state === 'draining') await giveBack(runId);
    if (outcome.state === 'parked') await parkRun(sql, incarnation(), runId);
  }

  async function giveBack(runId: string): Promise<void> {
    const delivery = await handBackRun(sql, incarnation(), runId);
    // Redis away: the controller delivers it later.
    if (delivery) await deliver([delivery]).catch((err: unknown) => log.warn({ err, runId }, 'not redelivered'));
  }

  return {
    async deliver(runId) {
      const claimed = await ledger.claim(runId);
      if (claimed === null) return { ok: true, note: 'not ready, or somebody else has it' };
      const outcome = await run(claimed);
      return outcome.state === 'failed'
        ? { ok: false, message: outcome.error.message }
        : { ok: true, note: outcome.state };
    },
    async runOwned(runId) {
      const [owned] = await loadOwnedRuns(sql, incarnation(), [runId]);
      return owned ? run(owned) : { state: 'lost' };
    },
    held: () => [...executions.keys()],
    cancel: (runId) => executions.get(runId)?.cancel(),
    loseAll() {
      for (const execution of executions.values()) execution.lose();
    },
    async drain(graceMs) {
      draining = true;
      for (const execution of executions.values()) execution.drain();
      const force = setTimeout(() => {
        for (const execution of executions.values()) execution.handBack();
      }, graceMs);
      await Promise.allSettled([...executions.values()].map((execution) => execution.done));
      clearTimeout(force);
    },
  };
}
