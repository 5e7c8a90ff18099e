import { findDocuments, storeEmbeddings, upsertDocuments } from '@flowstate/store';
import { startCable } from '@flowstate/test';
import t from 'tap';
import { createGatewayFixture } from './fixtures/gateway-fixture.ts';

const reason = 'new model behind the endpoint';

t.test('with the cache away it says so, and what is cleared then is not given later', async (t) => {
  const { sql, cacheUrl, addGateway } = await createGatewayFixture(t);
  const cable = await startCable(t, cacheUrl);
  const { call, tokenOf } = await addGateway({ REDIS_CACHE_URL: cable.url });
  const token = await tokenOf('admin');
  await sql`INSERT INTO collections (name, model, dimensions) VALUES ('knowledge', 'all-MiniLM-L6-v2', 384)`;
  const body = { embedding: Array(384).fill(1) };
  const ask = async () => (await call('POST', '/api/search/semantic', { token, body })).body['cache'];
  const unavailable = async () => {
    const { gateway } = (await call('GET', '/api/admin/cache', { token })).body;
    return (gateway as { requests: { unavailable: number } }).requests.unavailable;
  };
  t.same([await ask(), await ask()], ['miss', 'hit']);
  const before = await unavailable();

  await cable.cut();
  t.match(await call('GET', '/api/admin/cache', { token }), {
    status: 200,
    body: {
      redis: { state: 'down', keys: null, usedBytes: null, maxBytes: null, evicted: null },
    },
  });
  const clear = await call('POST', '/api/admin/cache/clear', { token, body: { reason } });
  t.match(clear, { status: 200, body: { collections: ['knowledge'] } });
  t.equal(await ask(), 'miss', 'answered without it');
  t.equal(await unavailable(), before + 1);

  await cable.mend();
  const up = async () => ((await call('GET', '/api/admin/cache', { token })).body['redis'] as { state: string }).state;
  while ((await up()) !== 'up') await new Promise((resolve) => setTimeout(resolve, 20));
  t.equal(await ask(), 'hit', 'what was computed meanwhile, from memory');
});

t.test('the search cache is told about, and cleared in every gateway with one audit entry', async (t) => {
  const { sql, users, addGateway } = await createGatewayFixture(t);
  const [here, there] = [await addGateway(), await addGateway()];
  const token = await here.tokenOf('admin');
  const [row] = await upsertDocuments(sql, [{ externalId: 'a', text: 'Refunds take five days' }]);
  const [document] = await findDocuments(sql, [row?.id ?? '']);
  const item = { id: row?.id ?? '', contentHash: document?.contentHash ?? '', embedding: Array(384).fill(1) };
  await storeEmbeddings(sql, { model: 'all-MiniLM-L6-v2', items: [item] });
  const body = { query: 'refunds', threshold: -1 };
  const ask = async (gateway: typeof here) =>
    (await gateway.call('POST', '/api/search/semantic', { token, body })).body['cache'];
  const clear = (json: object, as = token) => here.call('POST', '/api/admin/cache/clear', { token: as, body: json });

  t.same([await ask(here), await ask(here), await ask(there)], ['miss', 'hit', 'hit']);
  const stats = await here.call('GET', '/api/admin/cache', { token });
  t.match(stats, {
    status: 200,
    body: {
      gateway: { requests: { hit: 1, miss: 1, unavailable: 0 }, embeddings: { miss: 1 }, hitsHere: 1 },
      redis: { state: 'up' },
    },
  });
  const { gateway, redis } = stats.body as { gateway: { here: { bytes: number } }; redis: { keys: number } };
  t.ok(gateway.here.bytes > 0 && redis.keys >= 2, 'an answer and an embedding are kept');

  t.match(await clear({ reason }), { status: 200, body: { collections: ['knowledge'] } });
  t.same([await ask(there), await ask(here)], ['miss', 'hit'], 'computed anew once, by the other gateway');
  const embeddings = { gateway: { embeddings: { hit: 0, miss: 1 } } };
  t.match((await there.call('GET', '/api/admin/cache', { token })).body, embeddings, 'its embedding, too');
  t.match(await clear({ reason, collection: 'nowhere' }), {
    status: 404,
    body: { errors: [{ field: 'collection' }] },
  });
  t.match(await clear({}), { status: 400, body: { errors: [{ field: 'reason' }] } });
  const manager = await here.tokenOf('manager');
  t.equal((await clear({ reason }, manager)).status, 403);
  t.equal((await here.call('GET', '/api/admin/cache', { token: manager })).status, 403);
  t.equal(await ask(here), 'hit', 'what was refused cleared nothing');

  const audit = await here.call('GET', '/api/admin/audit?limit=200', { token });
  const entries = (audit.body['items'] as { action: string; outcome: string }[]).filter(
    (entry) => entry.action === 'cache.cleared' && entry.outcome === 'success',
  );
  t.match(entries, [{ actor: users.admin.id, subject: 'all', details: { reason } }]);
  t.equal(entries.length, 1);

  const metrics = (await here.call('GET', '/api/metrics')).text;
  for (const line of [
    /^vector_cache_requests_total\{result="hit"\} 3$/m,
    /^vector_cache_local_hits_total \d+$/m,
    /^vector_cache_local_bytes [1-9]/m,
    /^vector_cache_local_evictions_total 0$/m,
    /^vector_cache_bytes_total\{direction="written"\} [1-9]/m,
    /^vector_cache_embeddings_total\{result="miss"\} 1$/m,
    /^vector_cache_hit_age_seconds_count 3$/m,
  ]) {
    t.match(metrics, line);
  }

  t.equal((await clear({ reason, collection: 'knowledge' })).status, 200);
  t.same([await ask(there), await ask(here)], ['miss', 'hit']);
  t.match(
    (await there.call('GET', '/api/admin/cache', { token })).body,
    {
      gateway: { embeddings: { hit: 1, miss: 1 } },
    },
    'its embedding belongs to no collection',
  );
});
