import type { QueueName, ScalingState } from '@flowstate/contracts';
import type { Logger } from '@flowstate/runtime';
import { scalingReasons } from '@flowstate/scaling';
import { Gauge, type Registry } from '@prometheus-io/client';
import type { ScalingAnswers } from './answers.ts';

/** What was decided, the same from every controller: `max by (queue)`, since a sum would multiply by replicas. */
export function measureScaling(registry: Registry, answers: Pick<ScalingAnswers, 'known'>, log: Logger): void {
  /** Each reads for itself: a scrape collects them side by side. */
  function gauge<Label extends string>(
    name: string,
    help: string,
    labelNames: Label[],
    show: (gauge: Gauge<Label>, queue: QueueName, state: ScalingState) => void,
  ): void {
    new Gauge<Label>({
      name,
      help,
      labelNames,
      registers: [registry],
      async collect() {
        this.reset();
        try {
          for (const [queue, state] of await answers.known()) show(this, queue, state);
        } catch (error) {
          log.warn({ err: error }, `${name} cannot be measured`);
        }
      },
    });
  }
  gauge(
    'flowstate_desired_workers',
    'Workers there should be; without samples while nobody can know',
    ['queue'],
    (desired, queue, state) => desired.set({ queue }, state.desired),
  );
  gauge(
    'flowstate_scaling_reason',
    '1 for what the desired workers came from, 0 for the other reasons there are',
    ['queue', 'reason'],
    (given, queue, state) => {
      for (const reason of scalingReasons) given.set({ queue, reason }, reason === state.reason ? 1 : 0);
    },
  );
}
