import { keysOf } from '@flowstate/test';
import t from 'tap';
import { decodeAnswer, dueForRefresh, encodeAnswer } from '../src/stored-answer.ts';
import { createSearchFixture, ingest, sortedNamesOf } from './fixtures/search-fixture.ts';

const viewer = { id: '00000000-0000-7000-8000-000000000000', role: 'analyst' } as const;

t.test('large answers are stored compressed and given back whole', async (t) => {
  const { sql, cache, embedder, search, seen } = await createSearchFixture(t, { localBytes: 0 });
  const text = `Refunds take five days. ${'They are paid to the original card. '.repeat(40)}`;
  await ingest(
    sql,
    embedder,
    [1, 2, 3].map((n) => ({ externalId: `${n}`, text: `${text} ${n}` })),
  );
  const first = await search.semantic({ query: 'refunds' }, viewer);
  const second = await search.semantic({ query: 'refunds' }, viewer);
  t.match([first.cache, second.cache], ['miss', 'hit']);
  t.same(second.items, first.items);
  const [key = ''] = await keysOf(cache, 'vector-search:{*');
  const stored = (await cache.getBuffer(key)) ?? Buffer.alloc(0);
  t.equal(stored[0], 1, 'compressed');
  t.ok(stored.length < JSON.stringify(first.items).length / 4, `${stored.length} bytes`);
  t.equal(seen.ages.length, 1, 'the age of the cached answer was measured');
  await cache.set(key, stored.subarray(0, stored.length - 5));
  t.equal((await search.semantic({ query: 'refunds' }, viewer)).cache, 'miss', 'cut off: computed anew');
});

t.test('an answer without documents is cached shortly', async (t) => {
  const { sql, cache, embedder, search } = await createSearchFixture(t, { emptyTtlSeconds: 20, localBytes: 0 });
  await ingest(sql, embedder, [{ externalId: 'a', text: 'Refunds take five days' }]);
  const body = { query: 'refunds', threshold: 0.999 };
  t.same((await search.semantic(body, viewer)).items, []);
  t.equal((await search.semantic(body, viewer)).cache, 'hit');
  const [key = ''] = await keysOf(cache, 'vector-search:{*');
  const ttl = await cache.ttl(key);
  t.ok(ttl > 0 && ttl <= 20, `expires in ${ttl} s`);
});

t.test('an answer near its end is given, and computed anew in the background', async (t) => {
  const { sql, cache, embedder, search, seen } = await createSearchFixture(t, { localBytes: 0 });
  await ingest(sql, embedder, [{ externalId: 'a', text: 'Refunds take five days' }]);
  await search.semantic({ query: 'refunds' }, viewer);
  const [key = ''] = await keysOf(cache, 'vector-search:{*');
  const read = async () => decodeAnswer((await cache.getBuffer(key)) ?? Buffer.alloc(0));
  const ending = encodeAnswer({ ...(await read()), at: 1, until: Date.now() });
  await cache.set(key, ending ?? '');
  seen.asked.length = 0;
  const { items, cache: way } = await search.semantic({ query: 'refunds' }, viewer);
  t.equal(way, 'hit', 'nobody waits for the new one');
  t.same(sortedNamesOf(items), ['a']);
  while ((await read()).at === 1); // the tap timeout is the bound
  t.same(seen.asked, ['stale']);
  t.equal(seen.matched, 2, 'once at first, once in the background');
  t.equal((await search.semantic({ query: 'refunds' }, viewer)).cache, 'hit');
  t.same(seen.asked, ['stale', 'hit']);
});

t.test('early refresh: never long before the end, always at it, and the likelier the dearer', async (t) => {
  const share = (cost: number, left: number) =>
    Array.from({ length: 2_000 }, () => dueForRefresh({ until: 1_000_000, cost }, 1_000_000 - left)).filter(Boolean)
      .length / 2_000;
  t.equal(share(20, 600_000), 0);
  t.equal(share(20, 0), 1);
  // P(due) = exp(-left / cost): 0.37 and 0.02; the bounds are more than ten standard deviations away
  t.ok(share(100, 100) > 0.25);
  t.ok(share(25, 100) < 0.1);
});
