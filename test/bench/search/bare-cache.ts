import { createHash } from 'node:crypto';
import Fastify from 'fastify';
import { Redis } from 'ioredis';

// The least a cached search can be: Fastify, a schema, and the answer as Redis has it.

const redis = new Redis(process.env['REDIS_CACHE_URL'] ?? '', { enableAutoPipelining: true });
const app = Fastify();
app.get('/health', () => ({ status: 'ok' }));
app.post<{ Body: object }>(
  '/search',
  {
    schema: {
      body: {
        type: 'object',
        required: ['query'],
        properties: {
          query: { type: 'string', maxLength: 8_000 },
          collection: { type: 'string' },
          threshold: { type: 'number' },
          limit: { type: 'integer' },
        },
      },
    },
  },
  async (request, reply) => {
    const key = createHash('sha256').update(JSON.stringify(request.body)).digest('base64url');
    const answer = await redis.get(`bare:${key}`);
    if (answer === null) return reply.code(404).send();
    return reply.type('application/json; charset=utf-8').send(answer);
  },
);
await app.listen({ host: '127.0.0.1', port: Number(process.env['PORT']) });
process.once('SIGTERM', () => {
  void app.close().then(() => process.exit());
});
