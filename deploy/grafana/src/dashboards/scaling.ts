import { flowstateDashboard } from '../flowstate-dashboard.ts';
import { graph } from '../panels.ts';

/** How much there is to do, how much can be done, and what runs out first. */
export const scaling = flowstateDashboard('scaling', 'scaling')
  .withPanel(
    graph('Load of the queues', {
      says: 'What autoscaling follows: active, and deliverable by the time a new worker is up',
      unit: 'short',
      queries: [
        ['max by (queue) (flowstate_queue_load)', '{{queue}} load'],
        ['max by (queue) (flowstate_queue_backlog)', '{{queue}} in line'],
      ],
    }),
  )
  .withPanel(
    graph('Oldest run that waits', {
      says: 'Above what users accept: more workers',
      unit: 's',
      queries: [['max by (queue) (flowstate_queue_oldest_age_seconds)', '{{queue}}']],
    }),
  )
  .withPanel(
    graph('Places of the workers', {
      says: 'Runs in hand, and how many there may be of each queue',
      unit: 'short',
      queries: [
        ['sum(worker_active_runs)', 'in hand'],
        ['sum(worker_concurrency)', 'places'],
        ['count(worker_concurrency)', 'workers'],
      ],
    }),
  )
  .withPanel(
    graph('Jobs in Redis', {
      says: 'The window of each queue, by state',
      unit: 'short',
      queries: [
        ['max by (queue, state) (flowstate_queue_jobs)', '{{queue}} {{state}}'],
        ['max by (queue) (flowstate_queue_window_size)', '{{queue}} window'],
        ['max by (queue) (flowstate_queue_window_used)', '{{queue}} used'],
      ],
    }),
  )
  .withPanel(
    graph('Handed to the queues', {
      says: "From the ledger's line, a second",
      unit: 'ops',
      queries: [['sum by (queue) (rate(flowstate_runs_fed_total[$__rate_interval]))', '{{queue}}']],
    }),
  )
  .withPanel(
    graph('CPU', {
      says: 'Cores of each process. A gateway or worker uses one at most: near it, add a replica',
      unit: 'short',
      queries: [
        [
          'sum by (job, instance) (rate(process_cpu_seconds_total{job=~"gateway|worker|controller"}[$__rate_interval]))',
          '{{job}} {{instance}}',
        ],
      ],
    }),
  )
  .withPanel(
    graph('Event loop', {
      says: 'Lag, 99 %: above half a second a process does not keep up',
      unit: 's',
      queries: [['max by (job, instance) (nodejs_eventloop_lag_p99_seconds)', '{{job}} {{instance}}']],
    }),
  )
  .withPanel(
    graph('Memory of the processes', {
      says: 'Resident, and heap in use; near the limit raise it together with --max-old-space-size',
      unit: 'bytes',
      queries: [
        [
          'max by (job, instance) (process_resident_memory_bytes{job=~"gateway|worker|controller"})',
          '{{job}} {{instance}} resident',
        ],
        ['max by (job, instance) (nodejs_heap_size_used_bytes)', '{{job}} {{instance}} heap'],
      ],
    }),
  )
  .withPanel(
    graph('Memory of Redis', {
      says: 'queues must not fill up: its policy is noeviction. cache evicts',
      unit: 'bytes',
      queries: [['max by (exported_instance) (redis_memory_used_bytes)', '{{exported_instance}}']],
    }),
  )
  .withPanel(
    graph('What retention leaves', {
      says: 'Age of the oldest finished run; beyond RETENTION_DAYS it does not keep up',
      unit: 's',
      queries: [['max(flowstate_retention_oldest_run_age_seconds)', 'oldest']],
    }),
  );
