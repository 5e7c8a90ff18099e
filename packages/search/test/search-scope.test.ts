import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { createEmbedder } from '@flowstate/models';
import {
  createSql,
  deleteMatchingDocuments,
  findCustomer,
  grantCollection,
  insertUser,
  revokeCollection,
  upsertCustomers,
  upsertOpportunities,
  writeCollection,
} from '@flowstate/store';
import { createTestDatabase, createTestRedis, emptyRedis, keysOf } from '@flowstate/test';
import type { Role, Viewer } from '@flowstate/contracts';
import t, { type Test } from 'tap';
import { createRecommender, createSearch } from '../src/index.ts';
import { createEmbeddingsEndpoint } from './fixtures/embeddings-endpoint.ts';
import { createSearchFixture, ingest, openCache, patient, sortedNamesOf } from './fixtures/search-fixture.ts';

/** An embedder whose every question waits until the test answers it. */
async function createSlowModel(t: Test) {
  const endpoint = await createEmbeddingsEndpoint(t);
  const embedder = createEmbedder({ kind: 'endpoint', baseUrl: endpoint.url, model: 'test-model' });
  t.teardown(() => embedder.close());
  /** Lets the model work for what is not about waiting. */
  const whileAnswering = async <T>(work: Promise<T>): Promise<T> => {
    (await endpoint.next())();
    return await work;
  };
  return { endpoint, embedder, whileAnswering };
}

t.test('who loses access in the middle of a search loses it alone', async (t) => {
  const { url } = await createTestDatabase(t);
  const { cacheUrl } = await createTestRedis(t);
  // One connection: statements are carried out in the order in which they are sent.
  const sql = createSql(url, { name: 'test', max: 1 });
  t.teardown(() => sql.end());
  const cache = await openCache(t, cacheUrl);
  const { endpoint, embedder, whileAnswering } = await createSlowModel(t);
  const search = createSearch({ sql, cache, embedder, ...patient });
  const person = async (email: string, role: Role): Promise<Viewer> => {
    const user = await insertUser(sql, { email, name: email, role, passwordHash: null });
    return { id: user?.id ?? '', role };
  };
  const [owner, ann, bob] = [
    await person('owner@example.org', 'manager'),
    await person('ann@example.org', 'analyst'),
    await person('bob@example.org', 'agent'),
  ];
  await writeCollection(sql, 'secret', { visibility: 'private' }, owner);
  for (const { id } of [ann, bob]) {
    await grantCollection(sql, { collection: 'secret', kind: 'users', grantee: id }, owner);
  }
  await whileAnswering(ingest(sql, embedder, [{ externalId: 'open', text: 'Refunds' }]));
  await whileAnswering(
    ingest(sql, embedder, [{ externalId: 'hidden', text: 'Refunds of ours', collection: 'secret' }], owner),
  );

  const body = { query: 'refunds', threshold: -1 };
  const asked = endpoint.asked();
  const [annSearch, bobSearch] = [search.semantic(body, ann), search.semantic(body, bob)];
  // What is searched was chosen for both by then.
  const embedded = await endpoint.next();
  await revokeCollection(sql, { collection: 'secret', kind: 'users', grantee: ann.id }, owner);
  embedded();
  t.same(sortedNamesOf((await annSearch).items), ['open'], 'the one who lost it');
  t.same(sortedNamesOf((await bobSearch).items), ['hidden', 'open'], 'the one who shared the computation');
  t.equal(endpoint.asked(), asked + 1, 'which was one until then');
  t.same(sortedNamesOf((await search.semantic(body, bob)).items), ['hidden', 'open']);
  t.match(await search.semantic(body, ann), { cache: 'hit', items: [{ externalId: 'open' }] });
  await t.rejects(search.semantic({ ...body, collection: 'secret' }, ann), { code: 'not_found' });
});

t.test('each collection is asked by its own model, and what several have found is fused by rank', async (t) => {
  const { embedder: slow, whileAnswering } = await createSlowModel(t);
  const { sql, embedder, search, cache } = await createSearchFixture(t, { otherEmbedders: [slow] });
  const viewer: Viewer = { id: '00000000-0000-7000-8000-000000000000', role: 'analyst' };
  await ingest(sql, embedder, [{ externalId: 'a', text: 'Refunds take five days' }]);
  await whileAnswering(ingest(sql, slow, [{ externalId: 'b', text: 'Refunds', collection: 'other' }]));
  const body = { query: 'refunds', threshold: -1 };
  const both = await whileAnswering(search.semantic(body, viewer));
  t.match(both, {
    model: 'all-MiniLM-L6-v2, test-model',
    cache: 'miss',
    items: [
      { externalId: 'a', model: 'all-MiniLM-L6-v2' },
      { externalId: 'b', model: 'test-model' },
    ],
  });
  const [nearest = 0, other = 0] = both.items.map(({ similarity }) => similarity);
  t.not(nearest, other);
  t.same(
    both.items.map(({ score }) => score),
    [Math.max(nearest, other), Math.max(nearest, other)],
    'the first of each counts alike',
  );
  t.match(await search.semantic({ ...body, limit: 1 }, viewer), { items: [{ externalId: 'a' }] });
  t.match(await search.semantic(body, viewer), { cache: 'hit', items: both.items });
  t.match(await search.hybrid(body, viewer), {
    items: [
      { externalId: 'a', ranks: { vector: 1, text: 1 } },
      { externalId: 'b', ranks: { vector: 1, text: 1 } },
    ],
  });
  t.match(await search.semantic({ ...body, model: 'test-model' }, viewer), {
    model: 'test-model',
    items: [{ externalId: 'b', score: undefined }],
  });
  await t.rejects(search.semantic({ embedding: [1, 2] }, viewer), {
    code: 'invalid_input',
    errors: [{ field: 'model', message: /or collection.* all-MiniLM-L6-v2 \(knowledge\); test-model \(other\)/ }],
  });
  t.match(await search.semantic({ ...body, collection: 'knowledge' }, viewer), {
    model: 'all-MiniLM-L6-v2',
    items: [{ externalId: 'a' }],
  });
  t.match(await search.semantic({ ...body, collection: 'other' }, viewer), {
    model: 'test-model',
    items: [{ externalId: 'b' }],
  });

  await t.test('as are documents about what is recommended', async (t) => {
    const dates = { openedAt: '2025-01-01T00:00:00Z', closedAt: '2025-02-01T00:00:00Z' };
    await upsertCustomers(sql, [
      { externalId: 'buyer', name: 'Buyer' },
      { externalId: 'new', name: 'New' },
    ]);
    await upsertOpportunities(sql, [
      { ...dates, externalId: 'o', customer: 'buyer', product: 'Refunds', name: 'x', owner: 'x', stage: 'won' },
    ]);
    const customerId = (await findCustomer(sql, 'new'))?.id ?? '';
    const recommender = createRecommender({ sql, search });
    const { items } = await whileAnswering(recommender.recommend({ customerId, kinds: ['document'] }, viewer));
    t.same(new Set(items.map(({ document }) => document?.externalId)), new Set(['a', 'b']));
    t.equal(items[0]?.score, items[1]?.score);
  });

  await t.test('and answers live as long as the strictest of the collections allows', async (t) => {
    await ingest(sql, embedder, [{ externalId: 'c', text: 'Refunds by card', collection: 'third' }]);
    const lifeOf = async (question: object) => {
      await emptyRedis(cache);
      await search.semantic({ ...body, ...question }, viewer);
      const [key = ''] = await keysOf(cache, 'vector-search:{*');
      return await cache.pttl(key);
    };
    const admin: Viewer = { ...viewer, role: 'admin' };
    const before = await search.semantic({ ...body, collection: 'third' }, viewer);
    t.equal(before.cache, 'miss');
    await writeCollection(sql, 'third', { cacheTtlSeconds: 7 }, admin);
    t.equal(
      (await search.semantic({ ...body, collection: 'third' }, viewer)).cache,
      'miss',
      'what was cached for longer',
    );
    await writeCollection(sql, 'knowledge', { cacheTtlSeconds: 3 }, admin);
    const left = await lifeOf({ collection: 'third', limit: 3 });
    t.ok(left > 3_000 && left <= 7_000, `${left} ms`);
    // Nothing of another model is in the way of asking both.
    await deleteMatchingDocuments(sql, { collection: 'other', filter: {} });
    await sql`UPDATE collections SET model = NULL, dimensions = NULL WHERE name = 'other'`;
    const both = await lifeOf({ limit: 5 });
    t.ok(both > 0 && both <= 3_000, `${both} ms, the shorter one`);
    await writeCollection(sql, 'third', { cacheTtlSeconds: null }, admin);
    t.ok((await lifeOf({ collection: 'third', limit: 4 })) > 500_000, 'as configured again');
  });
});

t.test('a model that is away fails a search of all, which says what can be searched meanwhile', async (t) => {
  const deaf = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  await once(deaf, 'listening');
  t.teardown(() => deaf.close());
  const baseUrl = `http://127.0.0.1:${(deaf.address() as AddressInfo).port}/v1`;
  const away = createEmbedder({ kind: 'endpoint', baseUrl, model: 'away' });
  t.teardown(() => away.close());
  const { sql, embedder, search } = await createSearchFixture(t, { otherEmbedders: [away] });
  const viewer: Viewer = { id: '00000000-0000-7000-8000-000000000000', role: 'analyst' };
  await ingest(sql, embedder, [{ externalId: 'a', text: 'Refunds take five days' }]);
  await sql`INSERT INTO collections (name, model, dimensions) VALUES ('other', 'away', 2)`;
  await t.rejects(search.semantic({ query: 'refunds' }, viewer), {
    code: 'unavailable',
    message: /cannot be reached \(model away\); meanwhile `model` all-MiniLM-L6-v2 can be searched/,
  });
  t.match(await search.semantic({ query: 'refunds', model: 'all-MiniLM-L6-v2' }, viewer), {
    items: [{ externalId: 'a' }],
  });
});
