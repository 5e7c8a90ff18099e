import { queueNames, type QueueName } from '@flowstate/contracts';
import type { RunQueues } from '@flowstate/queue';
import type { Logger } from '@flowstate/runtime';
import { Gauge, type Registry } from '@prometheus-io/client';
import type { Census, QueueCount } from './census.ts';
import type { Feeder } from './feeder.ts';

type Sources = { queues: Pick<RunQueues, 'counts' | 'waiting'>; census: Census; feeder: Feeder; log: Logger };

/** Gauges of both halves of each queue: its window in Redis and its line in the ledger. */
export function measureQueues(registry: Registry, { queues, census, feeder, log }: Sources): void {
  /** One gauge with a sample for each queue; none for what cannot be known right now. */
  function gauge(
    name: string,
    help: string,
    valueOf: (queue: QueueName) => Promise<number | undefined> | number | undefined,
  ): void {
    new Gauge({
      name,
      help,
      labelNames: ['queue'],
      registers: [registry],
      async collect() {
        this.reset();
        for (const queue of queueNames) {
          try {
            const value = await valueOf(queue);
            if (value !== undefined) this.set({ queue }, value);
          } catch (error) {
            log.warn({ err: error, queue }, `${name} cannot be measured`);
          }
        }
      },
    });
  }
  const counted = (queue: QueueName): QueueCount | undefined => census.latest()?.queues[queue];

  gauge(
    'flowstate_queue_load',
    'Runs active, or deliverable now or by the time a new worker is up, in Redis or in the ledger; while paused only those active',
    async (queue) => {
      const load = await queueLoad(queues, census, queue);
      return load && load.active + load.waiting;
    },
  );
  gauge('flowstate_queue_backlog', "Due runs in the ledger's line", (queue) => counted(queue)?.backlog);
  gauge(
    'flowstate_queue_oldest_age_seconds',
    'How long the oldest run that nobody has begun has been ready',
    (queue) => counted(queue)?.oldestSeconds,
  );
  gauge('flowstate_queue_window_size', 'Jobs the feeder aims at in Redis', (queue) => feeder.windowSize(queue));
  gauge('flowstate_queue_window_used', 'Jobs that wait in Redis', (queue) => queues.waiting(queue));
  new Gauge({
    name: 'flowstate_runs_stranded',
    help: 'Due runs of versions that no live worker carries: they wait',
    labelNames: ['workflow', 'version'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { workflow, version, runs } of census.latest()?.stranded ?? []) this.set({ workflow, version }, runs);
    },
  });
  new Gauge({
    name: 'flowstate_runs',
    help: 'Runs that have not ended, by state',
    labelNames: ['workflow', 'state'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [workflow, states] of census.latest()?.live ?? []) {
        for (const [state, runs] of Object.entries(states)) this.set({ workflow, state }, runs);
      }
    },
  });
}

/** What one queue asks of its workers. */
export type QueueLoad = {
  /** Runs that workers hold. */
  active: number;
  /** Runs nobody has begun that may begin now, or by the time a new worker is up; none counts while paused. */
  waiting: number;
  paused: boolean;
  oldestSeconds: number;
};

/**
 * Both halves of a queue together, as `flowstate_queue_load` shows and autoscaling follows them; undefined before the
 * ledger was counted. Redis knows best what is in its window, unless it has just lost it: then the ledger does.
 */
export async function queueLoad(
  queues: Pick<RunQueues, 'counts'>,
  census: Pick<Census, 'latest'>,
  queue: QueueName,
): Promise<QueueLoad | undefined> {
  const counts = await queues.counts(queue);
  const line = census.latest()?.queues[queue];
  if (line === undefined) return undefined;
  const { paused, held, handed, deliverable, oldestSeconds } = line;
  const active = Math.max(counts.active, held);
  const inWindow = Math.max(counts.active + counts.waiting + counts.prioritized, held + handed);
  return { active, waiting: paused ? 0 : inWindow - active + deliverable, paused, oldestSeconds };
}
