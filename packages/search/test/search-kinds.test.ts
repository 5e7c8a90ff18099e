import { deleteDocument, upsertDocuments, type Sql } from '@flowstate/store';
import { keysOf } from '@flowstate/test';
import t from 'tap';
import type { SlowSearch } from '../src/slow-calls.ts';
import { createSearchFixture, ingest, namesOf, sortedNamesOf } from './fixtures/search-fixture.ts';

const viewer = { id: '00000000-0000-7000-8000-000000000000', role: 'analyst' } as const;
const all = { threshold: -1, limit: 100 };

const slow: SlowSearch[] = [];
let told = Promise.withResolvers<void>();
const { sql, cache, embedder, search, seen } = await createSearchFixture(t, {
  slowMs: 0,
  onSlow(call) {
    slow.push(call);
    told.resolve();
    told = Promise.withResolvers();
  },
});
const [refund = '', code = ''] = await ingest(sql, embedder, [
  { externalId: 'refund', text: 'We pay the money back to the card within five days.', metadata: { tier: 'gold' } },
  { externalId: 'code', text: 'E4711: see the handbook of the terminal.', metadata: { tier: 'iron' } },
  { externalId: 'card', text: 'A lost card is blocked by phone, and a new card comes by mail.' },
  { externalId: 'hours', text: 'The office is open from nine to five on working days.' },
]);

t.test('hybrid search finds what is meant and what is named', async (t) => {
  const { items } = await search.hybrid({ query: 'E4711 when do I get my money' }, viewer);
  t.same(sortedNamesOf(items.slice(0, 2)), ['code', 'refund']);
  t.ok(items.find((hit) => hit.externalId === 'code')?.ranks?.text);
  t.ok(items.every(({ score = 0, ranks }) => score > 0 && ranks !== undefined));
  t.same(
    items.map(({ score }) => score),
    items.map(({ score = 0 }) => score).toSorted((a, b) => b - a),
  );
  const gold = await search.hybrid({ query: 'E4711', filter: { tier: 'gold' }, ...all }, viewer);
  t.same(namesOf(gold.items), ['refund']);
  await t.rejects(search.hybrid({ query: 'x', weights: { vector: 0, text: 0 } }, viewer), {
    code: 'invalid_input',
    errors: [{ field: 'weights' }],
  });
  await t.rejects(search.hybrid({ query: 'x', collection: 'nowhere' }, viewer), { code: 'not_found' });
});

t.test('all kinds are cached in one way, each for itself', async (t) => {
  const query = 'lost card';
  const asks = [
    () => search.semantic({ query }, viewer),
    () => search.semantic({ query, exact: true }, viewer),
    () => search.hybrid({ query }, viewer),
    () => search.hybrid({ query, exact: true }, viewer),
    () => search.hybrid({ query, weights: { text: 0.5 } }, viewer),
    () => search.hybrid({ query, weights: { vector: 0.5 } }, viewer),
    () => search.similar(refund, {}, viewer),
    () => search.similar(refund, { exact: true }, viewer),
    () => search.similar(code, {}, viewer),
  ];
  const ways = async () => {
    const answers = [];
    for (const ask of asks) answers.push(await ask());
    return answers.map((answer) => answer.cache);
  };
  t.same(
    await ways(),
    asks.map(() => 'miss'),
  );
  t.same(
    await ways(),
    asks.map(() => 'hit'),
  );
  t.equal(
    (await search.hybrid({ query, weights: { vector: 1, text: 0.4 } }, viewer)).cache,
    'hit',
    'defaults spelled out',
  );
  t.equal((await search.similar('refund', {}, viewer)).cache, 'hit', 'by either id');
  const stored = await keysOf(cache, 'vector-search:{*');
  t.ok(stored.length >= asks.length, 'in Redis, not only here');
  await ingest(sql, embedder, [{ externalId: 'late', text: 'A card that was stolen' }]);
  t.same(
    await ways(),
    asks.map(() => 'miss'),
    'a write ends all of them',
  );
  t.same([...new Set(seen.kinds)].toSorted(), ['hybrid', 'semantic', 'similar'], 'measured by kind');
});

t.test('similar documents are found by a document, without itself', async (t) => {
  const { items, model } = await search.similar('card', all, viewer);
  t.equal(model, embedder.model);
  t.ok(items.length >= 3 && !namesOf(items).includes('card'));
  t.equal(items[0]?.externalId, 'late');
  t.equal((await search.similar('card', { ...all, limit: 1 }, viewer)).items.length, 1);
  t.same(namesOf((await search.similar('card', { ...all, filter: { tier: 'iron' } }, viewer)).items), ['code']);
  await ingest(sql, embedder, [{ externalId: 'card', collection: 'other', text: 'Something else' }]);
  await t.rejects(search.similar('card', {}, viewer), { code: 'conflict', message: /several/i });
  const within = { ...all, collection: 'knowledge', within: 'other' };
  t.same(namesOf((await search.similar('card', within, viewer)).items), ['card'], 'its namesake is another document');
  await t.rejects(search.similar('refund', { within: 'nowhere' }, viewer), { code: 'not_found' });
  await t.rejects(search.similar('refund', { filter: { $gt: 1 } }, viewer), { errors: [{ field: 'filter.$gt' }] });

  for (const id of ['nobody', 'a\0b', '\ud800', '00000000-0000-7000-8000-00000000ffff']) {
    await t.rejects(search.similar(id, {}, viewer), { code: 'not_found' }, JSON.stringify(id));
  }
  await upsertDocuments(sql, [{ externalId: 'waiting', text: 'Not yet' }]);
  await t.rejects(search.similar('waiting', {}, viewer), { code: 'conflict', message: /not embedded yet/ });
});

t.test('a document that changes while others are searched changes what is similar', async (t) => {
  const ask = () => search.similar('moving', { ...all, within: 'knowledge' }, viewer);
  await ingest(sql, embedder, [{ externalId: 'moving', collection: 'moving', text: 'When is the office open?' }]);
  t.match((await ask()).items[0], { externalId: 'hours' });
  t.equal((await ask()).cache, 'hit');
  await ingest(sql, embedder, [{ externalId: 'moving', collection: 'moving', text: 'When do I get my money back?' }]);
  t.match(await ask(), { cache: 'miss', items: [{ externalId: 'refund' }] });
});

t.test('whom a private collection is hidden from finds nothing by words or likeness', async (t) => {
  const owner = await addUser(sql, 'owner');
  const stranger = await addUser(sql, 'stranger');
  await sql`
    INSERT INTO collections (name, owner_id, visibility) VALUES ('private', ${owner.id}, 'private')`;
  const rows = ['one', 'two'].map((n) => ({
    externalId: `secret-${n}`,
    collection: 'private',
    text: `Codeword zebra ${n}`,
  }));
  await ingest(sql, embedder, rows, owner);
  const query = 'zebra codeword';
  const named = (hits: Parameters<typeof namesOf>[0]) => namesOf(hits).filter((name) => name?.startsWith('secret'));
  t.equal(named((await search.hybrid({ query, ...all }, owner)).items).length, 2);
  t.equal(named((await search.hybrid({ query, ...all }, stranger)).items).length, 0);
  t.same(namesOf((await search.similar('secret-one', { within: 'private' }, owner)).items), ['secret-two']);
  t.equal(named((await search.similar('refund', all, owner)).items).length, 2);
  t.equal(named((await search.similar('refund', all, stranger)).items).length, 0);
  for (const by of [stranger, viewer]) {
    await t.rejects(search.similar('secret-one', {}, by), { code: 'not_found' });
    await t.rejects(search.hybrid({ query, collection: 'private' }, by), { code: 'not_found' });
    await t.rejects(search.similar('refund', { within: 'private' }, by), { code: 'not_found' });
  }
});

t.test('on request an answer says what took how long', async (t) => {
  const query = 'how long does it take';
  const first = await search.hybrid({ query, explain: true }, viewer);
  const { totalMs, embedMs, cacheMs, sqlMs } = first.timings ?? {};
  t.ok(
    [totalMs, embedMs, cacheMs, sqlMs].every((ms) => typeof ms === 'number' && ms > 0),
    JSON.stringify(first.timings),
  );
  t.ok((embedMs ?? 0) + (cacheMs ?? 0) + (sqlMs ?? 0) <= (totalMs ?? 0) + 0.01, 'parts of one whole');
  const second = await search.hybrid({ query, explain: true }, viewer);
  t.match(second, { cache: 'hit', timings: { embedMs: null } }, 'asking for it changes nothing else');
  t.same((await search.hybrid({ query }, viewer)).timings, undefined);
  t.match((await search.similar('hours', { explain: true }, viewer)).timings, { embedMs: null });
});

t.test('ceilings lower what was asked, and the answer says so', async (t) => {
  const query = 'working days';
  const ceilings = { maxSearchLimit: 2, minSearchThreshold: null };
  const some = await search.semantic({ query, ...all }, viewer, { ceilings });
  t.equal(some.items.length, 2);
  t.same(some.clamped, { limit: 2 });
  const strict = { maxSearchLimit: null, minSearchThreshold: 0.99 };
  t.match(await search.semantic({ query }, viewer, { ceilings: strict }), { items: [], clamped: { threshold: 0.99 } });
  t.match(
    await search.similar('hours', all, viewer, { ceilings: { ...strict, ...ceilings, minSearchThreshold: 0.1 } }),
    {
      clamped: { limit: 2, threshold: 0.1 },
    },
  );
  t.match((await search.hybrid({ query, limit: 50 }, viewer, { ceilings })).items, { length: 2 });
  const within = await search.semantic({ query, limit: 2, threshold: -1 }, viewer, { ceilings });
  t.equal(within.clamped, undefined, 'nothing was lowered');
  t.equal(within.cache, 'hit', 'one that asks for less is the same question');
});

t.test('slow calls are told of with their plan, and with nothing that was asked', async (t) => {
  // Of the searches before this one some may be told of only now.
  const ours = () => slow.filter(({ kind, exact }) => kind === 'hybrid' && exact);
  slow.length = 0;
  await search.hybrid({ query: 'a very private question', filter: { tier: 'gold', secret: 'x' }, exact: true }, viewer);
  while (ours().length < 1) await told.promise;
  const [call] = ours();
  t.match(call, {
    kind: 'hybrid',
    limit: 10,
    threshold: 0.25,
    filterKeys: ['tier', 'secret'],
    exact: true,
    planHash: /^[0-9a-f]{12}$/,
  });
  t.ok(call?.collections.includes('knowledge'));
  t.notMatch(JSON.stringify(call), /private question|gold|embedding/);
  await search.hybrid({ query: 'another one', filter: { tier: 'iron', secret: 'y' }, exact: true }, viewer);
  while (ours().length < 2) await told.promise;
  t.equal(ours()[1]?.planHash, call?.planHash, 'the same way for another question');
});

t.test('a deleted document is not similar any more', async (t) => {
  await deleteDocument(sql, code);
  t.notOk(namesOf((await search.similar('card', { ...all, collection: 'knowledge' }, viewer)).items).includes('code'));
  await t.rejects(search.similar(code, {}, viewer), { code: 'not_found' });
});

async function addUser(sql: Sql, name: string) {
  const [user] = await sql<{ id: string }[]>`
    INSERT INTO users (id, email, name, role, password_hash)
    VALUES (gen_random_uuid(), ${`${name}@example.org`}, ${name}, 'analyst', 'x') RETURNING id`;
  return { id: user?.id ?? '', role: 'analyst' } as const;
}
