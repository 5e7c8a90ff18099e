import { createTestRedis, keysOf, startCable } from '@flowstate/test';
import t from 'tap';
import { createSearchFixture, ingest, namesOf, openCache } from './fixtures/search-fixture.ts';

const viewer = { id: '00000000-0000-7000-8000-000000000000', role: 'analyst' } as const;

t.test('search goes on without its cache, and uses it again when it is back', async (t) => {
  const { cacheUrl } = await createTestRedis(t);
  const proxy = await startCable(t, cacheUrl);
  const cache = await openCache(t, proxy.url);
  const { sql, embedder, search, seen } = await createSearchFixture(t, { cache, cacheTimeoutMs: 50, localBytes: 0 });
  await ingest(sql, embedder, [{ externalId: 'a', text: 'Refunds take five days' }]);
  const ask = () => search.semantic({ query: 'refunds' }, viewer);
  /** Asks until the cache takes part again; the tap timeout is the bound. */
  const untilHit = async () => {
    while ((await ask()).cache === 'miss');
  };
  await untilHit();

  await proxy.cut();
  seen.asked.length = 0;
  for (let i = 0; i < 5; i++) t.same(namesOf((await ask()).items), ['a']);
  t.ok(
    seen.asked.every((result) => result === 'unavailable'),
    'counted as such',
  );
  await proxy.mend();
  await untilHit();

  proxy.stall();
  const looks = t.capture(cache, 'callBuffer', cache.callBuffer.bind(cache));
  const begun = performance.now();
  for (let i = 0; i < 5; i++) t.match(await ask(), { cache: 'miss', items: [{ externalId: 'a' }] });
  // Each that was let down has the cache left alone for a second.
  const seconds = Math.floor((performance.now() - begun) / 1_000);
  const waited = looks().length;
  t.ok(waited >= 1 && waited <= 1 + seconds, `${waited} of 5 waited for the hanging cache`);
  await proxy.mend();
  await untilHit();
});

t.test('garbage in the cache is a miss and is overwritten', async (t) => {
  const { sql, cache, embedder, search } = await createSearchFixture(t, { localBytes: 0 });
  await ingest(sql, embedder, [{ externalId: 'a', text: 'Refunds take five days' }]);
  const ask = () => search.semantic({ query: 'refunds' }, viewer);
  await ask();
  const [key = ''] = await keysOf(cache, 'vector-search:{*');
  for (const garbage of ['', '{', 'null', '[{"id":1}]', '{"items":[]}']) {
    await cache.set(key, garbage);
    t.match(await ask(), { cache: 'miss', items: [{ externalId: 'a' }] }, garbage);
    t.equal((await ask()).cache, 'hit');
  }
  await cache.del(key);
  await cache.lpush(key, 'another type');
  t.match(await ask(), { cache: 'miss', items: [{ externalId: 'a' }] });
});
