import { ScalingState, toQueueName } from '@flowstate/contracts';
import Type from 'typebox';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { readScaling } from '../scaling-answers.ts';

/** What KEDA's `metrics-api` trigger reads, with an API key of scope `scaling:read`; the controller answers the same. */
export function scalingRoute(app: App, deps: Pick<Deps, 'sql' | 'queues'>): void {
  app.get(
    '/api/scaling/:queue',
    {
      schema: {
        tags: ['operations'],
        summary: 'How many workers a queue should have, and why',
        description: 'Needs an API key with the scope `scaling:read`. 503 while nobody can know: never a false zero',
        params: Type.Object({ queue: Type.String({ maxLength: 64 }) }),
        response: { 200: ScalingState },
      },
    },
    async (request) => readScaling(deps, toQueueName(request.params.queue)),
  );
}
