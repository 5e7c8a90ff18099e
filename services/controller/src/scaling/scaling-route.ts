import { FlowstateError, httpStatus } from '@flowstate/contracts';
import type { FastifyInstance } from 'fastify';
import { toQueueName, type ScalingAnswers } from './answers.ts';
import type { ScalerTokenCheck } from './scaler-token.ts';

type Options = { answers: ScalingAnswers; checkToken: ScalerTokenCheck };

/** `GET /scaling/:queue`: the JSON for KEDA's `metrics-api` trigger, with SCALER_TOKEN as bearer. */
export function scalingRoute(app: Pick<FastifyInstance, 'get'>, { answers, checkToken }: Options): void {
  app.get<{ Params: { queue: string } }>('/scaling/:queue', async (request, reply) => {
    try {
      checkToken(request.headers.authorization);
      return await answers.of(toQueueName(request.params.queue));
    } catch (error) {
      if (!(error instanceof FlowstateError)) throw error;
      const status = httpStatus[error.code];
      if (status === 401) reply.header('www-authenticate', 'Bearer error="invalid_token"');
      if (status === 503) reply.header('retry-after', '1');
      return reply
        .code(status)
        .type('application/problem+json')
        .serializer(JSON.stringify)
        .send({
          type: `urn:flowstate:error:${error.code}`,
          title: error.code,
          status,
          code: error.code,
          detail: error.message,
          requestId: request.id,
        });
    }
  });
}
