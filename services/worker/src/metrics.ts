import { createRegistry, type Build } from '@flowstate/runtime';
import { Counter, Gauge, Histogram } from '@prometheus-io/client';

export type WorkerMetrics = ReturnType<typeof createWorkerMetrics>;

/** Everything a worker measures. Labels are bounded: declared names only, never ids. */
export function createWorkerMetrics(build: Build, activeRuns: () => number) {
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
  return {
    registry,
    runs: new Counter({
      name: 'worker_agent_workflows_total',
      help: 'Workflow runs by what became of them on this worker',
      labelNames: ['workflow', 'status'],
      registers,
    }),
    latency: new Histogram({
      name: 'worker_run_latency_seconds',
      help: 'Seconds a run waited (queue) and was worked on here (run)',
      labelNames: ['workflow', 'phase'],
      buckets: seconds,
      registers,
    }),
    steps: new Histogram({
      name: 'worker_step_duration_seconds',
      help: 'Seconds of one try of a step',
      labelNames: ['workflow', 'step'],
      buckets: seconds,
      registers,
    }),
    backendRequests: new Counter({
      name: 'worker_backend_requests_total',
      help: 'Calls of the gateway by agents',
      labelNames: ['operation', 'status'],
      registers,
    }),
    backendDuration: new Histogram({
      name: 'worker_backend_request_duration_seconds',
      help: 'Seconds of a call of the gateway',
      labelNames: ['operation', 'status'],
      buckets: seconds,
      registers,
    }),
  };
}
