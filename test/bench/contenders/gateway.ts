import Fastify, { LogController } from 'fastify';

/** What both hand-made contenders have in common: a validated POST that answers 202 with the run's id. */
export async function createGateway(
  start: (input: { text: string }) => Promise<string>,
  close: () => Promise<void>,
): Promise<void> {
  const app = Fastify({ logger: true, logController: new LogController({ disableRequestLogging: true }) });
  app.get('/health', () => ({ status: 'ok' }));
  app.post<{ Body: { input: { text: string } } }>(
    '/runs',
    {
      schema: {
        body: {
          type: 'object',
          required: ['input'],
          properties: {
            input: { type: 'object', required: ['text'], properties: { text: { type: 'string', maxLength: 4096 } } },
          },
        },
        response: {
          202: { type: 'object', properties: { id: { type: 'string' }, state: { type: 'string' } } },
        },
      },
    },
    async (request, reply) => {
      const id = await start(request.body.input);
      return reply.code(202).header('location', `/runs/${id}`).send({ id, state: 'queued' });
    },
  );
  await app.listen({ host: '127.0.0.1', port: Number(process.env['PORT']) });
  process.once('SIGTERM', () => {
    void app
      .close()
      .then(close)
      .then(() => process.exit());
  });
}
