import type { Logger } from '@flowstate/runtime';
import { scalingReasons } from '@flowstate/scaling';
import type { Registry } from '@prometheus-io/client';
import { createScrapedGauges } from '../scraped-gauges.ts';
import type { ScalingAnswers } from './answers.ts';

/** What was decided, the same from every controller: `max by (queue)`, since a sum would multiply by replicas. */
export function measureScaling(registry: Registry, answers: Pick<ScalingAnswers, 'known'>, log: Logger): void {
  const gauge = createScrapedGauges({ registry, log, read: answers.known, trouble: 'scaling cannot be measured' });
  gauge({
    name: 'flowstate_desired_workers',
    help: 'Workers there should be; without samples while nobody can know',
    labelNames: ['queue'],
    samples: (known) => [...known].map(([queue, { desired }]) => [{ queue }, desired]),
  });
  gauge({
    name: 'flowstate_scaling_reason',
    help: '1 for what the desired workers came from, 0 for the other reasons there are',
    labelNames: ['queue', 'reason'],
    samples: (known) =>
      [...known].flatMap(([queue, state]) =>
        scalingReasons.map((reason) => [{ queue, reason }, reason === state.reason ? 1 : 0]),
      ),
  });
}
