import { queueNames } from '@flowstate/contracts';
import { createRegistry, startAtZero, type Build, type Logger } from '@flowstate/runtime';
import type { RunQueues } from '@flowstate/queue';
import type { Sql } from '@flowstate/store';
import { Counter, Gauge } from '@prometheus-io/client';
import type { Census } from './census.ts';
import type { Feeder } from './feeder.ts';
import { measureQueues } from './queue-metrics.ts';
import { recommendationMetrics } from './recommendation-metrics.ts';
import { scheduleMetrics } from './schedule-metrics.ts';

type Sources = { queues: RunQueues; sql: Sql; census: Census; feeder: Feeder; log: Logger };

/** What the controller measures; queue depth is read from Redis and the schedules' lag from Postgres at each scrape. */
export function createControllerMetrics(build: Build, { queues, sql, census, feeder, log }: Sources) {
  const registry = createRegistry('controller', build);
  const registers = [registry];
  measureQueues(registry, { queues, census, feeder, log });
  new Gauge({
    name: 'flowstate_queue_jobs',
    help: 'Jobs in the queue by state; without samples while Redis is away',
    labelNames: ['queue', 'state'],
    registers,
    async collect() {
      // A number from before an outage would look like the truth.
      this.reset();
      for (const queue of queueNames) {
        try {
          for (const [state, count] of Object.entries(await queues.counts(queue))) this.set({ queue, state }, count);
        } catch (error) {
          log.warn({ err: error, queue }, 'queue cannot be counted');
        }
      }
    },
  });
  recommendationMetrics(registry, sql, log);
  const fed = new Counter({
    name: 'flowstate_runs_fed_total',
    help: "Runs handed from the ledger's line to the queue",
    labelNames: ['queue'],
    registers,
  });
  startAtZero(
    fed,
    queueNames.map((queue) => ({ queue })),
  );
  return {
    registry,
    observeFired: scheduleMetrics(registry, sql, log),
    reclaimed: new Counter({
      name: 'flowstate_runs_reclaimed_total',
      help: 'Runs taken from workers found dead',
      registers,
    }),
    returned: new Counter({
      name: 'flowstate_runs_returned_total',
      help: 'Runs whose job was missing or spent and that stood in line again',
      registers,
    }),
    sealed: new Gauge({
      name: 'audit_sealed_entries',
      help: 'Audit entries in the hash chain, as far as this controller sealed or read it',
      registers,
    }),
    fed,
  };
}
