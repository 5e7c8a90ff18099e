import type { AddressInfo } from 'node:net';
import type { Role } from '@flowstate/contracts';
import t from 'tap';
import { publishIngest } from './fixtures/documents-fixture.ts';
import { createGatewayFixture } from './fixtures/gateway-fixture.ts';

// Everything wrong that can be sent to documents and searches: a row here is all that a new case takes.

const { sql, addGateway } = await createGatewayFixture(t);
await publishIngest(sql);
const { app, tokenOf } = await addGateway();
await app.listen({ host: '127.0.0.1', port: 0 });
const { port } = app.server.address() as AddressInfo;
const role: Role = 'integration';
const token = await tokenOf(role);

type Body = object | string | Buffer;

async function send(method: string, path: string, body?: Body, type = 'application/json') {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body !== undefined && { 'content-type': type }) },
    ...(body !== undefined && {
      body: typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body),
    }),
  });
  const text = await response.text();
  return { status: response.status, type: response.headers.get('content-type') ?? '', text };
}

const model = 'all-MiniLM-L6-v2';
const unit = (dimensions = 384) => Array.from({ length: dimensions }, (_, i) => Number(i === 0));
const long = (length: number) => 'x'.repeat(length);
const sql0 = "'; DROP TABLE documents; --";
const notUtf8 = (json: string) => Buffer.from(json.replace('?', '\xff'), 'latin1');
const nan = JSON.stringify({ embedding: unit(), model, text: 'x' }).replace('[1,', '[NaN,');

type Case = [name: string, body: Body, status: number, field: string];

const stored = await send('POST', '/api/documents', [
  { externalId: 'a', text: 'Refunds take five days', model, embedding: unit(), metadata: { product: 'cards' } },
  { externalId: 'b', text: 'Another', collection: 'foreign', model: 'another', embedding: [1, 2] },
]);
if (stored.status !== 200) throw new Error(stored.text);
const [document] = await sql<{ id: string; hash: string }[]>`
  SELECT id, content_hash AS hash FROM documents WHERE external_id = 'a'`;
const item = { id: document?.id, contentHash: document?.hash };
const before = await count();

async function count(): Promise<number | undefined> {
  return (await sql<{ n: number }[]>`SELECT count(*)::int AS n FROM documents`)[0]?.n;
}

/** Which every search that takes a JSON body refuses alike. */
const searches: Case[] = [
  ['no query', {}, 400, 'query'],
  ['an empty query', { query: '' }, 400, 'query'],
  ['a query of spaces', { query: ' \n\t ' }, 400, 'query'],
  ['a query of 100,000 characters', { query: long(100_000) }, 400, 'query'],
  ['a query of 2 MiB', { query: long(2 * 1024 * 1024) }, 413, 'body'],
  ['a query that is no Unicode', '{"query":"\\ud800 fees","filter":{"a":"\\ud800"}}', 400, 'filter.a'],
  ['U+0000 in a query', { query: 'a\0bc' }, 400, 'query'],
  ['half a character in a query', '{"query":"\\ud800 fees"}', 400, 'query'],
  ['a query that is no UTF-8', notUtf8('{"query":"fees ?"}'), 400, 'body'],
  ['a query that is a number', { query: 7 }, 400, 'query'],
  ['no JSON', '{"query":', 400, 'body'],
  ['an empty body', '', 400, 'body'],
  ['a threshold above 1', { query: 'x', threshold: 1.01 }, 400, 'threshold'],
  ['a threshold below -1', { query: 'x', threshold: -1.01 }, 400, 'threshold'],
  ['a threshold that is NaN', '{"query":"x","threshold":NaN}', 400, 'body'],
  ['a threshold as text', { query: 'x', threshold: 'NaN' }, 400, 'threshold'],
  ['a limit of 0', { query: 'x', limit: 0 }, 400, 'limit'],
  ['a limit of 10,000', { query: 'x', limit: 10_000 }, 400, 'limit'],
  ['a limit of 1.5', { query: 'x', limit: 1.5 }, 400, 'limit'],
  ['an unknown collection', { query: 'x', collection: 'nowhere' }, 404, 'collection'],
  ['a model that is not here', { query: 'x', model: 'another' }, 400, 'model'],
  ['an empty model', { query: 'x', model: '' }, 400, 'model'],
  ['a collection of another model', { query: 'x', model, collection: 'foreign' }, 400, 'model'],
  ['no collection name', { query: 'x', collection: 'A B' }, 400, 'collection'],
  ['an operator in the filter', { query: 'x', filter: { $regex: '.*' } }, 400, 'filter.$regex'],
  ['an operator further down', { query: 'x', filter: { a: { b: [{ $gt: 1 }] } } }, 400, 'filter.a.b.0.$gt'],
  ['a comparison below a field', { query: 'x', filter: { price: { '>': 5 } } }, 400, 'filter.price.>'],
  ['a comparison in a list', { query: 'x', filter: { a: [{ '!=': 1 }] } }, 400, 'filter.a.0.!='],
  ['SQL further down', { query: 'x', filter: { a: { [sql0]: 1 } } }, 400, `filter.a.${sql0}`],
  ['SQL in a key of the filter', { query: 'x', filter: { [sql0]: 1 } }, 400, `filter.${sql0}`],
  ['U+0000 in the filter', { query: 'x', filter: { a: '\0' } }, 400, 'filter.a'],
  ['a number beyond all in the filter', '{"query":"x","filter":{"a":{"n":1e400}}}', 400, 'filter.a.n'],
  ['an integer that is not exact in the filter', '{"query":"x","filter":{"n":9007199254740993}}', 400, 'filter.n'],
  ['a filter that is an array', { query: 'x', filter: [] }, 400, 'filter'],
  ['a field that is not known', { query: 'x', colection: 'typo' }, 400, 'colection'],
];

const semantic: Case[] = [
  ...searches,
  ['an embedding with NaN', nan.replace(',"text":"x"', ''), 400, 'body'],
  ['an embedding with null', { embedding: [...unit(383), null] }, 400, 'embedding.383'],
  ['an embedding beyond numbers', `{"embedding":[1e999,${unit(383).join()}]}`, 400, 'embedding'],
  ['an embedding of another dimension', { embedding: unit(3) }, 400, 'embedding'],
  ['an embedding of another dimension, of no collection', { model: 'another', embedding: unit(3) }, 400, 'embedding'],
  ['an embedding of another model', { model, collection: 'foreign', embedding: unit() }, 400, 'model'],
  ['an embedding of zeros', { embedding: unit().fill(0) }, 400, 'embedding'],
  ['an embedding of text', { embedding: 'x' }, 400, 'embedding'],
  ['no number in an embedding', { embedding: [] }, 400, 'embedding'],
  ['a query and an embedding', { query: 'x', embedding: unit() }, 400, 'embedding'],
];

const hybrid: Case[] = [
  ...searches,
  ['a weight below 0', { query: 'x', weights: { text: -1 } }, 400, 'weights.text'],
  ['a weight as text', { query: 'x', weights: { vector: 'much' } }, 400, 'weights.vector'],
  ['no weight at all', { query: 'x', weights: { vector: 0, text: 0 } }, 400, 'weights'],
  ['a weight that is not known', { query: 'x', weights: { words: 1 } }, 400, 'weights.words'],
];

const documents: Case[] = [
  ['no text', { externalId: 'x' }, 400, 'text'],
  ['an empty text', { text: '' }, 400, 'text'],
  ['a text of spaces', { text: '  ' }, 400, 'text'],
  ['a text of 100,001 characters', { text: long(100_001) }, 400, 'text'],
  ['a body of 2 MiB', { text: long(2 * 1024 * 1024) }, 413, 'body'],
  ['U+0000 in a text', { text: 'a\0b' }, 400, 'text'],
  ['half a character', '{"text":"\\udc00"}', 400, 'text'],
  ['no UTF-8', notUtf8('{"text":"fees ?"}'), 400, 'body'],
  ['a number beyond all', '{"text":"x","metadata":{"n":1e400}}', 400, 'metadata.n'],
  [
    'an integer that is not exact',
    '[{"text":"x","metadata":{"a":[12345678901234567890]}}]',
    400,
    'documents.0.metadata.a.0',
  ],
  ['SQL in a key of the metadata', { text: 'x', metadata: { [sql0]: 1 } }, 400, `metadata.${sql0}`],
  ['an operator in the metadata', { text: 'x', metadata: { $gt: 1 } }, 400, 'metadata.$gt'],
  ['an operator further down', { text: 'x', metadata: { a: [{ $gt: 1 }] } }, 400, 'metadata.a.0.$gt'],
  ['metadata without a name', { text: 'x', metadata: { '': 1 } }, 400, 'metadata.'],
  ['SQL as a collection', { text: 'x', collection: sql0 }, 400, 'collection'],
  ['a field that is not known', { text: 'x', colection: 'typo' }, 400, 'colection'],
  ['an embedding with NaN', nan, 400, 'body'],
  ['an embedding of another dimension', { text: 'x', model, embedding: unit(3) }, 400, 'embedding'],
  ['an embedding of zeros', { text: 'x', model, embedding: unit().fill(0) }, 400, 'embedding'],
  ['an embedding of another model', { text: 'x', model: 'other', embedding: unit() }, 400, 'model'],
  ['an embedding without its model', { text: 'x', embedding: unit() }, 400, 'model'],
  ['the first one of a collection', { text: 'x', collection: 'new', model, embedding: [1, 2] }, 400, 'embedding'],
  ['one of an unknown model', { text: 'x', collection: 'new', model: 'another', embedding: unit() }, 400, 'embedding'],
  ['a text where nothing can embed it', { text: 'x', collection: 'foreign' }, 400, 'embedding'],
  ['no document at all', [], 400, 'documents'],
  ['1,001 documents', Array.from({ length: 1_001 }, () => ({ text: 'x' })), 400, 'documents'],
  ['no good row of two', { documents: [null, { text: '' }] }, 400, 'documents.1.text'],
];

const embeddings: Case[] = [
  ['another model', { model: 'other', items: [{ ...item, embedding: unit() }] }, 400, 'model'],
  ['another dimension', { model, items: [{ ...item, embedding: unit(3) }] }, 400, 'items.0.embedding'],
  ['zeros', { model, items: [{ ...item, embedding: unit().fill(0) }] }, 400, 'items.0.embedding'],
  ['null', { model, items: [{ ...item, embedding: [null] }] }, 400, 'items.0.embedding.0'],
  ['no items', { model, items: [] }, 400, 'items'],
];

for (const [method, path, cases] of [
  ['POST', '/api/search/semantic', semantic],
  ['POST', '/api/search/hybrid', hybrid],
  ['POST', '/api/documents', documents],
  ['PUT', '/api/documents/embeddings', embeddings],
] as const) {
  await t.test(`${method} ${path}`, async (t) => {
    for (const [name, body, status, field] of cases) {
      const answer = await send(method, path, body);
      t.equal(answer.status, status, `${name}: ${answer.text}`);
      t.match(answer.type, 'application/problem+json', name);
      const { errors = [] } = JSON.parse(answer.text) as { errors?: { field: string }[] };
      t.ok(
        errors.some((error) => error.field === field),
        `${name}: names ${field} (${answer.text})`,
      );
    }
    t.equal(await count(), before, 'nothing was stored');
  });
}

await t.test('GET /api/search/similar/:documentId', async (t) => {
  const cases: [path: string, status: number, field: string | null][] = [
    ['nowhere', 404, null],
    [sql0, 404, null],
    ['a?threshold=2', 400, 'querystring.threshold'],
    ['a?threshold=NaN', 400, 'querystring.threshold'],
    ['a?limit=0', 400, 'querystring.limit'],
    ['a?limit=10000', 400, 'querystring.limit'],
    ['a?within=A%20B', 400, 'querystring.within'],
    ['a?within=nowhere', 404, 'querystring.within'],
    ['a?filter={"a":', 400, 'querystring.filter'],
    ['a?filter={"$gt":1}', 400, 'querystring.filter.$gt'],
    ['a?filter={"a":{"<":1}}', 400, 'querystring.filter.a.<'],
    ['a?exact=perhaps', 400, 'querystring.exact'],
    ['a?query=x', 400, 'querystring.query'],
  ];
  t.match(JSON.parse((await send('GET', '/api/search/similar/%ff')).text), { status: 400, errors: [{ field: 'url' }] });
  for (const [path, status, field] of cases) {
    const [id = '', query = ''] = path.split('?');
    const answer = await send('GET', `/api/search/similar/${encodeURIComponent(id)}?${query}`);
    const wanted = field === null ? {} : { errors: [{ field }] };
    t.match({ ...JSON.parse(answer.text), status: answer.status }, { status, ...wanted }, `${path}: ${answer.text}`);
  }
});

await t.test('DELETE /api/documents', async (t) => {
  const cases: [filter: string, field: string][] = [
    ['{"a":', 'querystring.filter'],
    ['{}', 'querystring.filter'],
    ['{"$gt":1}', 'querystring.filter.$gt'],
    [JSON.stringify({ [sql0]: 1 }), `querystring.filter.${sql0}`],
  ];
  for (const [filter, field] of cases) {
    const answer = await send('DELETE', `/api/documents?collection=knowledge&filter=${encodeURIComponent(filter)}`);
    t.match({ status: answer.status, ...JSON.parse(answer.text) }, { status: 400, errors: [{ field }] }, filter);
  }
  t.match(JSON.parse((await send('DELETE', '/api/documents?collection=nowhere&filter={"a":1}')).text), {
    status: 404,
    errors: [{ field: 'querystring.collection' }],
  });
  t.equal(await count(), before, 'nothing was deleted');
});

await t.test('a bad line of an NDJSON stream is told by its number and costs no other', async (t) => {
  const cases: [name: string, line: object | string, field: string][] = [
    ['no JSON', '{"text":', 'row'],
    ['no object', '[1]', 'row'],
    ['no id', { text: 'x' }, 'externalId'],
    ['no text', { externalId: 'n' }, 'text'],
    ['a text of 100,001 characters', { externalId: 'n', text: long(100_001) }, 'text'],
    ['half a character', '{"externalId":"n","text":"\\udc00"}', 'text'],
    ['SQL in a key of the metadata', { externalId: 'n', text: 'x', metadata: { [sql0]: 1 } }, `metadata.${sql0}`],
    ['SQL further down', { externalId: 'n', text: 'x', metadata: { a: { [sql0]: 1 } } }, `metadata.a.${sql0}`],
    ['an embedding of another dimension', { externalId: 'n1', text: 'x', model, embedding: unit(3) }, 'embedding'],
    ['an embedding of zeros', { externalId: 'n2', text: 'x', model, embedding: unit().fill(0) }, 'embedding'],
    ['an embedding of another model', { externalId: 'n3', text: 'x', model: 'other', embedding: unit() }, 'model'],
    ['NaN', `{"externalId":"n4","text":"x","model":"${model}","embedding":[NaN]}`, 'row'],
    ['an id of before', { externalId: 'good-0', text: 'again' }, 'externalId'],
  ];
  const good = (n: number) => JSON.stringify({ externalId: `good-${n}`, text: `Good ${n}` });
  const lines = cases.flatMap(([, line], i) => [good(i), typeof line === 'string' ? line : JSON.stringify(line)]);
  const { status, text } = await send('POST', '/api/documents', lines.join('\n'), 'application/x-ndjson');
  t.equal(status, 200);
  const said = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { line?: number; errors?: { field: string }[] });
  for (const [i, [name, , field]] of cases.entries()) {
    const rejection = said.find(({ line }) => line === 2 * (i + 1));
    t.match(rejection?.errors, [{ field }], `${name}: ${JSON.stringify(rejection)}`);
  }
  t.match(said.at(-1), { rows: 2 * cases.length, inserted: cases.length, rejected: cases.length });
  t.equal(await count(), (before ?? 0) + cases.length, 'all good ones are stored');
});

await t.test('what is odd but right is taken', async (t) => {
  const search = async (body: object) => (await send('POST', '/api/search/semantic', body)).text;
  t.match(JSON.parse(await search({ embedding: unit(), threshold: -1, limit: 100 })), {
    cache: 'miss',
    items: [{ externalId: 'a', similarity: 1 }],
  });
  const scaled = unit().map((x) => x * 1e300);
  t.match(
    JSON.parse(await search({ embedding: scaled, threshold: -1, limit: 100 })),
    { cache: 'hit' },
    'same direction',
  );
  t.match(JSON.parse(await search({ embedding: unit().toReversed(), threshold: 0.5 })), { cache: 'miss', items: [] });
  t.match((await send('POST', '/api/search/semantic', nan)).text, /JSON has no NaN/, 'which is odd and wrong');
  t.match(JSON.parse(await search({ embedding: unit(), filter: { product: sql0 } })), { items: [] });
  t.match(JSON.parse(await search({ embedding: unit(), filter: { price: { gt: 5 } } })), { items: [] }, 'a plain word');
});
