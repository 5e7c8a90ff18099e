import { toQueueName } from '@flowstate/contracts';
import type { FastifyInstance } from 'fastify';
import type { ScalingAnswers } from './answers.ts';
import type { ScalerTokenCheck } from './scaler-token.ts';

type Options = { answers: ScalingAnswers; checkToken: ScalerTokenCheck };

/** `GET /scaling/:queue`: the JSON for KEDA's `metrics-api` trigger, with SCALER_TOKEN as bearer. */
export function scalingRoute(app: Pick<FastifyInstance, 'get'>, { answers, checkToken }: Options): void {
  app.get<{ Params: { queue: string } }>('/scaling/:queue', async (request) => {
    checkToken(request.headers.authorization);
    return answers.of(toQueueName(request.params.queue));
  });
}
