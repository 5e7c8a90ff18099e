import type { FlowstateError } from '@flowstate/contracts';
import { answerOf, noSuchPath, toFlowstateError } from '@flowstate/runtime';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** Refusals and failures as `application/problem+json`, as the gateway has them. */
export function problemErrors(app: Pick<FastifyInstance, 'setErrorHandler' | 'setNotFoundHandler'>): void {
  function refuse(request: FastifyRequest, reply: FastifyReply, error: FlowstateError): FastifyReply {
    const { status, headers, problem } = answerOf(error, request.id);
    if (error.code === 'internal') request.log.error({ err: error }, 'request failed');
    return reply
      .code(status)
      .headers(headers)
      .type('application/problem+json')
      .serializer(JSON.stringify)
      .send(problem);
  }
  app.setErrorHandler<Error>((error, request, reply) => refuse(request, reply, toFlowstateError(error)));
  app.setNotFoundHandler((request, reply) => refuse(request, reply, noSuchPath(request)));
}
