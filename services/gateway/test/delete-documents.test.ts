import t from 'tap';
import { createDocumentsFixture, embedAll, publishIngest } from './fixtures/documents-fixture.ts';

const { sql, call, embedder } = await createDocumentsFixture(t);
await publishIngest(sql);
const path = (filter: string, collection = 'knowledge') =>
  `/api/documents?collection=${collection}&filter=${encodeURIComponent(filter)}`;

await t.test('documents go by their metadata, and cached answers with them', async (t) => {
  await call('POST', '/api/documents', [
    { externalId: 'a', text: 'Refunds take five days', metadata: { product: 'cards', tags: ['old', 'fees'] } },
    { externalId: 'b', text: 'Refunds take ten days', metadata: { product: 'loans' } },
    { externalId: 'c', text: 'Refunds elsewhere', metadata: { product: 'cards' }, collection: 'other' },
  ]);
  await embedAll(call, embedder);
  const search = async () => {
    const { body } = await call('POST', '/api/search/semantic', { query: 'refunds', collection: 'knowledge' });
    return [body.cache, ...body.items.map((item: { externalId: string }) => item.externalId).toSorted()];
  };
  t.same(await search(), ['miss', 'a', 'b']);
  t.same(await search(), ['hit', 'a', 'b']);
  t.match(await call('DELETE', path('{"product":"cards","tags":["old"]}')), { status: 200, body: { deleted: 1 } });
  t.same(await search(), ['miss', 'b']);
  t.match(await call('DELETE', path('{"product":"cards"}')), { body: { deleted: 0 } });
  t.equal((await call('GET', '/api/documents/c')).status, 200, 'that of another collection stays');
});

await t.test('what could delete too much is refused by field, and deletes nothing', async (t) => {
  await call('POST', '/api/documents', { externalId: 'd', text: 'stays' });
  for (const [filter, field] of [
    ['{}', 'filter'],
    ['[]', 'filter'],
    ['null', 'filter'],
    ['{"a":', 'filter'],
    ['{"$exists":"product"}', 'filter.$exists'],
    ['{"a":"\\u0000"}', 'filter.a'],
    ['{"a":1e400}', 'filter.a'],
  ] as const) {
    const answer = await call('DELETE', path(filter));
    t.match(answer, { status: 400, body: { errors: [{ field: `querystring.${field}` }] } }, filter);
  }
  t.equal((await call('DELETE', '/api/documents?collection=knowledge')).status, 400);
  t.equal((await call('DELETE', '/api/documents?filter=%7B%22a%22%3A1%7D')).status, 400);
  t.equal((await call('DELETE', path('{"a":1}'), undefined, 'analyst')).status, 403);
  t.equal((await call('GET', '/api/documents/d')).status, 200);
});
