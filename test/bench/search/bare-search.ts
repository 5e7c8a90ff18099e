import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { SearchHit } from '@flowstate/contracts';
import { matchDocuments } from '@flowstate/store';
import Fastify, { type FastifyRequest } from 'fastify';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import Type, { type Static } from 'typebox';

// The least that each way of searching over HTTP can be, for comparison: Fastify, schemas, one statement or one cached
// string, and no access rules, limits, audit, metrics, single flight or headers.

const { REDIS_CACHE_URL = '', DATABASE_URL = '', TOKEN_SECRET = '', PORT } = process.env;
const redis = new Redis(REDIS_CACHE_URL, { enableAutoPipelining: true });
const sql = postgres(DATABASE_URL, {
  max: 10,
  connection: { 'hnsw.ef_search': 100, 'hnsw.iterative_scan': 'relaxed_order' },
});
const app = Fastify();
app.get('/health', () => ({ status: 'ok' }));

const Words = Type.Object({
  query: Type.String({ maxLength: 8_000 }),
  collection: Type.String(),
  threshold: Type.Number(),
  limit: Type.Integer(),
});
const Vector = Type.Object({ ...Type.Omit(Words, ['query']).properties, embedding: Type.Array(Type.Number()) });
const answer = { 200: Type.Object({ items: Type.Array(SearchHit) }) };

const keyOf = (body: unknown) => `bare:${createHash('sha256').update(JSON.stringify(body)).digest('base64url')}`;
const json = 'application/json; charset=utf-8';

app.post('/cached', { schema: { body: Words } }, async (request, reply) =>
  reply.type(json).send(await redis.get(keyOf(request.body))),
);

/** As above, for who proves it: a signed token, its session, and what version of the collection an answer is good for. */
app.post('/cached/proven', { schema: { body: Words } }, async (request, reply) => {
  const { sid } = claimsOf(request);
  const [session, version, cached] = await redis.mget(`session:${sid}`, 'version', keyOf(request.body));
  if (!session || !version) return reply.code(401).send();
  return reply.type(json).send(cached);
});

app.post<{ Body: Static<typeof Vector> }>(
  '/uncached',
  { schema: { body: Vector, response: answer } },
  async ({ body: { embedding, collection, threshold, limit } }) => ({
    items: await matchDocuments(sql, { embedding, threshold, limit, filter: {}, collections: [collection] }),
  }),
);

function claimsOf({ headers: { authorization = '' } }: FastifyRequest): { sid: string } {
  const [head = '', payload = '', signature = ''] = authorization.slice('Bearer '.length).split('.');
  const expected = createHmac('sha256', TOKEN_SECRET).update(`${head}.${payload}`).digest();
  const given = Buffer.from(signature, 'base64url');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw new Error('not signed by us');
  return JSON.parse(Buffer.from(payload, 'base64url').toString()) as { sid: string };
}

await app.listen({ host: '127.0.0.1', port: Number(PORT) });
process.once('SIGTERM', () => {
  void app.close().then(() => process.exit());
});
