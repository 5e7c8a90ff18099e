import { createBoundedLabel, createRegistry, startAtZero, type Build } from '@flowstate/runtime';
import { declaredName } from '@flowstate/workflow';
import { droppedSentences, guardedAgents, type DroppedSentences } from './guardrails/supported.ts';
import { Counter, Gauge, Histogram } from '@prometheus-io/client';

export type WorkerMetrics = ReturnType<typeof createWorkerMetrics>;

/** What is counted of what becomes of a run on a worker. */
export const countedOutcomes = ['completed', 'failed', 'cancelled', 'parked'] as const;
const statuses = ['started', ...countedOutcomes];
/** Steps of one workflow, and operations of the backend: a name made at run time would be a series each. */
const maxNames = 100;

type Sources = {
  /** Names of the workflows that run here. */
  workflows: readonly string[];
  concurrency: number;
  activeRuns: () => number;
};

/** Everything a worker measures. Labels are bounded: declared names only, never ids. */
export function createWorkerMetrics(build: Build, { workflows, concurrency, activeRuns }: Sources) {
  const registry = createRegistry('worker', build);
  const registers = [registry];
  const seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
  new Gauge({
    name: 'worker_active_runs',
    help: 'Runs in hand',
    registers,
    collect() {
      this.set(activeRuns());
    },
  });
  new Gauge({ name: 'worker_concurrency', help: 'Runs of each queue in hand at most', registers }).set(concurrency);
  const runs = new Counter({
    name: 'worker_agent_workflows_total',
    help: 'Workflow runs by what became of them on this worker',
    labelNames: ['workflow', 'status'],
    registers,
  });
  startAtZero(
    runs,
    workflows.flatMap((workflow) => statuses.map((status) => ({ workflow, status }))),
  );
  const steps = new Histogram({
    name: 'worker_step_duration_seconds',
    help: 'Seconds of one try of a step',
    labelNames: ['workflow', 'step'],
    buckets: seconds,
    registers,
  });
  const boundedStep = new Map(workflows.map((workflow) => [workflow, createBoundedLabel(maxNames)]));
  const backendRequests = new Counter({
    name: 'worker_backend_requests_total',
    help: 'Calls of the gateway by agents',
    labelNames: ['operation', 'status'],
    registers,
  });
  const backendDuration = new Histogram({
    name: 'worker_backend_request_duration_seconds',
    help: 'Seconds of a call of the gateway',
    labelNames: ['operation', 'status'],
    buckets: seconds,
    registers,
  });
  const boundedOperation = createBoundedLabel(maxNames);
  const dropped = new Counter({
    name: 'worker_guardrail_dropped_sentences_total',
    help: 'Sentences of language models that nothing supported and nobody was shown',
    labelNames: ['agent'],
    registers,
  });
  startAtZero(
    dropped,
    guardedAgents.map((agent) => ({ agent })),
  );
  const boundedAgent = createBoundedLabel(maxNames);
  droppedSentences.subscribe((told) => {
    const { agent, sentences } = told as DroppedSentences;
    dropped.inc({ agent: boundedAgent(agent) }, sentences);
  });
  return {
    registry,
    runs,
    lost: new Counter({
      name: 'worker_runs_lost_total',
      help: 'Runs taken from this worker while in hand: it was thought dead, or their user was contained',
      registers,
    }),
    latency: new Histogram({
      name: 'worker_run_latency_seconds',
      help: 'Seconds a run waited (queue) and was worked on here (run)',
      labelNames: ['workflow', 'phase'],
      buckets: seconds,
      registers,
    }),
    stepDone(workflow: string, step: string, took: number): void {
      steps.observe({ workflow, step: boundedStep.get(workflow)?.(declaredName(step)) ?? '' }, took);
    },
    backendAnswered({
      operation,
      status,
      seconds: took,
    }: {
      operation: string;
      status: string;
      seconds: number;
    }): void {
      const labels = { operation: boundedOperation(operation), status };
      backendRequests.inc(labels);
      backendDuration.observe(labels, took);
    },
  };
}
