import { createCircuit, createEmbedder } from '@flowstate/models';
import { findDocuments, storeEmbeddings, upsertDocuments } from '@flowstate/store';
import { createTestRedis, keysOf } from '@flowstate/test';
import t from 'tap';
import { createCacheGuard } from '../src/cache-guard.ts';
import { createCacheTally } from '../src/cache-tally.ts';
import { createSearch } from '../src/index.ts';
import { createQueryEmbeddings } from '../src/query-embeddings.ts';
import { createEmbeddingsEndpoint, vectorOf } from './fixtures/embeddings-endpoint.ts';
import { createSearchFixture, namesOf, openCache, patient } from './fixtures/search-fixture.ts';

const viewer = { id: '00000000-0000-7000-8000-000000000000', role: 'analyst' } as const;

t.test('a query is embedded once for all processes, whatever else is asked with it', async (t) => {
  const endpoint = await createEmbeddingsEndpoint(t);
  const open = (model = 'test-model') => {
    const embedder = createEmbedder({ kind: 'endpoint', baseUrl: endpoint.url, model });
    t.teardown(() => embedder.close());
    return embedder;
  };
  const { sql, cache, cacheUrl, search: first } = await createSearchFixture(t, { embedder: open() });
  const [row] = await upsertDocuments(sql, [{ externalId: 'a', text: 'Refunds' }]);
  const [document] = await findDocuments(sql, [row?.id ?? '']);
  const item = { id: row?.id ?? '', contentHash: document?.contentHash ?? '', embedding: vectorOf('refunds') };
  await storeEmbeddings(sql, { model: 'test-model', items: [item] });
  const other = await openCache(t, cacheUrl);
  const second = createSearch({ sql, cache: other, embedder: open(), ...patient });

  const asking = first.semantic({ query: 'refunds' }, viewer);
  (await endpoint.next())();
  t.same(namesOf((await asking).items), ['a']);
  const elsewhere = await second.semantic({ query: ' refunds ', limit: 3 }, viewer);
  t.match(elsewhere, { cache: 'miss', items: [{ externalId: 'a', similarity: Number }] });
  t.ok((elsewhere.items[0]?.similarity ?? 0) > 0.999_999, 'as exact as Postgres keeps them');
  t.same(second.cacheStats().embeddings, { hit: 1, miss: 0, unavailable: 0 });
  await second.semantic({ query: 'refunds', limit: 2 }, viewer);
  t.same(second.cacheStats().embeddings, { hit: 2, miss: 0, unavailable: 0 }, 'one in the process itself counts, too');
  t.equal(endpoint.asked(), 1);

  const [key = ''] = await keysOf(cache, 'vector-search:embedding:*');
  for (const garbage of ['', 'abc', Buffer.from(new Float32Array([NaN, 1]).buffer)]) {
    await cache.set(key, garbage);
    const third = createSearch({ sql, cache, embedder: open(), localBytes: 0, ...patient });
    const again = third.semantic({ query: 'refunds', limit: 4 + garbage.length }, viewer);
    (await endpoint.next())();
    t.same(namesOf((await again).items), ['a'], 'garbage is computed anew');
  }
});

t.test('an endpoint that hangs is left alone like one that fails', async (t) => {
  const endpoint = await createEmbeddingsEndpoint(t);
  const circuit = createCircuit({ failures: 2 });
  const embedder = createEmbedder({ kind: 'endpoint', baseUrl: endpoint.url, model: 'test-model', circuit });
  t.teardown(() => embedder.close());
  const { cacheUrl } = await createTestRedis(t);
  const guard = createCacheGuard(await openCache(t, cacheUrl), 1_000);
  const queries = createQueryEmbeddings({ embedder, guard, tally: createCacheTally(undefined), timeoutMs: 50 });
  for (const query of ['a', 'b']) await t.rejects(queries.of(query, 1), { code: 'timeout', message: /within 50 ms/ });
  await t.rejects(queries.of('c', 1), { code: 'unavailable', message: /left alone/, retryAfter: 10 });
  t.equal(circuit.state(), 'open');
});
