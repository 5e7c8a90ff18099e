import { createServer } from 'node:http';
import { emptyRedis, keysOf } from '@flowstate/test';
import type { AddressInfo } from 'node:net';
import { createEmbedder } from '@flowstate/models';
import { deleteDocument, findDocument, upsertDocuments } from '@flowstate/store';
import t from 'tap';
import { createSearchFixture, ingest, namesOf, sortedNamesOf } from './fixtures/search-fixture.ts';

const viewer = { id: '00000000-0000-7000-8000-000000000000', role: 'analyst' } as const;
const knowledge = {
  'reset-password':
    'To reset a forgotten password, open the sign-in page and choose "Forgot password". A link is mailed.',
  'two-factor': 'Enable two-factor authentication with an authenticator app under Security settings.',
  sso: 'Single sign-on with SAML needs the identity provider metadata URL and a verified domain.',
  'duplicate-invoice': 'If a customer was billed twice, void the second invoice and issue a credit note.',
  refund: 'Refunds are paid to the original card within five working days.',
  upgrade: 'Changing to a larger plan takes effect immediately and is charged pro rata.',
  cancel: 'A subscription can be ended at the end of the billing period; data is kept for 30 days.',
  'webhook-retry': 'Failed webhook deliveries are attempted again with exponential backoff for 24 hours.',
  'webhook-signature': 'Verify webhook requests by comparing the HMAC signature header with your secret.',
  'rate-limit': 'The API answers 429 when more than 100 requests per second are sent; honour Retry-After.',
  'api-keys': 'Create and revoke API keys in the developer console; each key has scopes.',
  export: 'Download all of your records as CSV from the export page.',
  import: 'Upload a CSV file and map its columns to import contacts.',
  gdpr: 'Requests to erase personal data are fulfilled within thirty days as the law demands.',
  outage: 'During an incident the status page is updated every thirty minutes.',
  sla: 'The enterprise agreement promises 99.9 % monthly uptime with service credits.',
  onboarding: 'New customers get a kick-off call and a training plan in their first week.',
  mobile: 'The phone app works without a connection and synchronises later.',
  dashboard: 'Charts on the dashboard can be filtered by region and quarter.',
  crm: 'The Salesforce connector copies accounts and opportunities every hour.',
};

t.test('questions in other words find the right document', async (t) => {
  const { sql, embedder, search } = await createSearchFixture(t);
  await ingest(
    sql,
    embedder,
    Object.entries(knowledge).map(([externalId, text]) => ({ externalId, text })),
  );
  const questions: [string, keyof typeof knowledge][] = [
    ["I can't log in any more, I don't remember my credentials", 'reset-password'],
    ['We were charged two times this month', 'duplicate-invoice'],
    ['How do I get my money back?', 'refund'],
    ['Our endpoint was down, will the events be sent again?', 'webhook-retry'],
    ['too many requests error', 'rate-limit'],
    ['delete everything you know about me', 'gdpr'],
    ['move to the bigger package', 'upgrade'],
    ['use it offline on my phone', 'mobile'],
    ['guaranteed availability', 'sla'],
    ['sync with Salesforce', 'crm'],
  ];
  let found = 0;
  for (const [query, expected] of questions) {
    const { items } = await search.semantic({ query, limit: 3, threshold: -1 }, viewer);
    t.equal(items.length, 3);
    if (namesOf(items).includes(expected)) found += 1;
    else t.comment(`${query}: ${namesOf(items).join()}`);
  }
  t.ok(found >= 9, `recall@3 ${found}/${questions.length}`);
  const [query] = questions[1] ?? [''];
  t.same(namesOf((await search.semantic({ query }, viewer)).items).slice(0, 1), ['duplicate-invoice'], 'defaults');
  t.same((await search.semantic({ query, threshold: 0.99 }, viewer)).items, []);
});

t.test('an answer is cached until anything in its collection is written', async (t) => {
  const { sql, cache, embedder, search, seen } = await createSearchFixture(t);
  const [, secondId] = await ingest(sql, embedder, [
    { externalId: 'a', text: 'Refunds take five days' },
    { externalId: 'b', text: 'Refunds need an invoice number' },
  ]);
  await ingest(sql, embedder, [{ externalId: 'c', text: 'Refunds elsewhere', collection: 'other' }]);
  const body = { query: 'refunds', collection: 'knowledge' };
  const ask = async (changes: object = {}) => (await search.semantic({ ...body, ...changes }, viewer)).cache;

  const first = await search.semantic(body, viewer);
  const second = await search.semantic(body, viewer);
  t.match([first.cache, second.cache], ['miss', 'hit']);
  t.same(second.items, first.items);
  t.same(sortedNamesOf(first.items), ['a', 'b']);
  t.equal(first.model, 'all-MiniLM-L6-v2');
  const keys = await keysOf(cache, 'vector-search:{*');
  t.match(keys, [/^vector-search:/]);
  const ttl = await cache.ttl(keys[0] ?? '');
  t.ok(ttl > 590 && ttl <= 600, `expires in ${ttl} s`);

  t.equal(await ask({ query: '  refunds\n' }), 'hit', 'spaces mean nothing');
  t.equal(await ask({ threshold: 0.25, limit: 10, filter: {} }), 'hit', 'defaults spelled out');
  for (const change of [
    { query: 'Refunds' },
    { limit: 9 },
    { threshold: 0.2 },
    { filter: { a: 1 } },
    { collection: 'other' },
  ]) {
    t.equal(await ask(change), 'miss', JSON.stringify(change));
  }
  t.equal(await ask({ filter: { x: { a: 1, b: 2 } } }), 'miss');
  t.equal(await ask({ filter: { x: { b: 2, a: 1 } } }), 'hit', 'the order of keys means nothing');
  t.equal(
    await ask({
      filter: {
        x: [
          ['a', 1],
          ['b', 2],
        ],
      },
    }),
    'miss',
  );

  await upsertDocuments(sql, [{ externalId: 'c', text: 'changed elsewhere', collection: 'other' }]);
  t.equal(await ask(), 'hit', 'another collection was written');
  await ingest(sql, embedder, [{ externalId: 'd', text: 'Refunds of shipping costs' }]);
  t.same(sortedNamesOf((await search.semantic(body, viewer)).items), ['a', 'b', 'd']);
  await upsertDocuments(sql, [{ externalId: 'a', text: 'Refunds take five days', metadata: { v: 2 } }]);
  t.match(
    (await search.semantic(body, viewer)).items.find((hit) => hit.externalId === 'a'),
    { metadata: { v: 2 } },
  );
  t.equal(await ask(), 'hit');
  await deleteDocument(sql, secondId ?? '');
  t.same(sortedNamesOf((await search.semantic(body, viewer)).items), ['a', 'd']);
  t.equal(seen.searched.length, seen.asked.length);
  t.equal(seen.matched, seen.asked.filter((result) => result === 'miss').length);
});

t.test('without a collection everything the model embedded is searched', async (t) => {
  const { sql, embedder, search } = await createSearchFixture(t);
  t.same(await search.semantic({ query: 'x' }, viewer), { items: [], cache: 'miss', model: 'all-MiniLM-L6-v2' });
  await ingest(sql, embedder, [
    { externalId: 'a', text: 'Refunds take five days', metadata: { tier: 'gold', tags: ['x', 'y'] } },
    { externalId: 'b', text: 'Refunds by card', collection: 'other', metadata: { tier: 'iron' } },
  ]);
  await upsertDocuments(sql, [{ externalId: 'waiting', text: 'Refunds', collection: 'waiting' }]);
  t.same(sortedNamesOf((await search.semantic({ query: 'refunds' }, viewer)).items), ['a', 'b']);
  t.same(namesOf((await search.semantic({ query: 'refunds', filter: { tier: 'gold' } }, viewer)).items), ['a']);
  t.same(namesOf((await search.semantic({ query: 'refunds', filter: { tags: ['y'] } }, viewer)).items), ['a']);
  t.same((await search.semantic({ query: 'refunds', collection: 'waiting' }, viewer)).items, [], 'not embedded yet');
  t.equal((await search.semantic({ query: 'refunds' }, viewer)).cache, 'hit');
  await ingest(sql, embedder, [{ externalId: 'e', text: 'Refunds for partners', collection: 'partners' }]);
  t.same(
    sortedNamesOf((await search.semantic({ query: 'refunds' }, viewer)).items),
    ['a', 'b', 'e'],
    'a new collection',
  );

  // As it could come to be before a model had the same dimension in all collections.
  await sql`ALTER TABLE collections DROP CONSTRAINT collections_model_dimensions`;
  await upsertDocuments(sql, [{ externalId: 'odd', text: 'Refunds', collection: 'odd' }]);
  await sql`UPDATE collections SET model = ${embedder.model}, dimensions = 2 WHERE name = 'odd'`;
  t.same(
    sortedNamesOf((await search.semantic({ query: 'refunds' }, viewer)).items),
    ['a', 'b', 'e'],
    'one of the wrong dimension is in nobody’s way',
  );
  await t.rejects(search.semantic({ query: 'refunds', collection: 'odd' }, viewer), { code: 'conflict' });
});

t.test('the same question at the same time is answered once', async (t) => {
  const { sql, embedder, search, seen } = await createSearchFixture(t);
  await ingest(sql, embedder, [{ externalId: 'a', text: 'Refunds take five days' }]);
  const answers = await Promise.all(Array.from({ length: 20 }, () => search.semantic({ query: 'refunds' }, viewer)));
  t.ok(answers.every((answer) => answer.items.length === 1));
  t.equal(seen.matched, 1);
});

t.test('bad questions are refused by name', async (t) => {
  const { sql, embedder, search } = await createSearchFixture(t);
  const [id = ''] = await ingest(sql, embedder, [{ externalId: 'a', text: 'Refunds take five days' }]);
  const refused = (body: object, field: string) =>
    t.rejects(search.semantic({ query: 'x', ...body }, viewer), { code: 'invalid_input', errors: [{ field }] }, field);
  await refused({ query: ' \n\u3000' }, 'query');
  await refused({ filter: { $gt: 1 } }, 'filter.$gt');
  await refused({ filter: { name: 'a\0b' } }, 'filter.name');
  await refused({ filter: { 'a\ud800': 1 } }, 'filter');
  await t.rejects(search.semantic({ query: 'x', collection: 'nowhere' }, viewer), {
    code: 'not_found',
    errors: [{ field: 'collection' }],
  });
  t.same((await search.semantic({ query: 'x', filter: { name: "'; DROP TABLE documents; --" } }, viewer)).items, []);
  t.match(await findDocument(sql, id), { id });
});

t.test('a collection of another model is refused, or left out when none is named', async (t) => {
  const { sql, embedder, cache, search } = await createSearchFixture(t);
  await ingest(sql, embedder, [{ externalId: 'a', text: 'Refunds take five days' }]);
  await sql`UPDATE collections SET model = 'another'`;
  await t.rejects(search.semantic({ query: 'x', collection: 'knowledge' }, viewer), {
    code: 'conflict',
    message: /another/,
  });
  t.same((await search.semantic({ query: 'refunds' }, viewer)).items, []);
  await emptyRedis(cache);
});

t.test('an embeddings endpoint in trouble is our trouble, said so, and not remembered', async (t) => {
  const far = createServer((_, response) => {
    response.writeHead(429, { 'retry-after': '120' }).end();
  });
  await new Promise<void>((listening) => far.listen(0, '127.0.0.1', listening));
  t.teardown(() => far.close());
  const baseUrl = `http://127.0.0.1:${(far.address() as AddressInfo).port}`;
  const embedder = createEmbedder({ kind: 'endpoint', baseUrl, model: 'all-MiniLM-L6-v2' });
  const offline = createEmbedder({ kind: 'offline' });
  t.teardown(() => offline.close());
  const { sql, search } = await createSearchFixture(t, { embedder });
  await ingest(sql, offline, [{ externalId: 'a', text: 'Refunds take five days' }]);
  await t.rejects(search.semantic({ query: 'refunds' }, viewer), { code: 'unavailable', retryAfter: 120 });
  far.removeAllListeners('request');
  far.on('request', (_, response) => response.end('{"data":[{"embedding":[1,2,3]}]}'));
  await t.rejects(search.semantic({ query: 'refunds' }, viewer), { code: 'conflict', message: /3 dimensions/ });
});
