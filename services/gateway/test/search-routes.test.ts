import { findDocuments, storeEmbeddings, upsertDocuments, type Sql } from '@flowstate/store';
import t from 'tap';
import { access } from '../src/routes/index.ts';
import { createGatewayFixture } from './fixtures/gateway-fixture.ts';

const { sql, direct, users, addGateway } = await createGatewayFixture(t);
const [here, there] = [await addGateway({ SEARCH_SLOW_MS: '1' }), await addGateway()];
const tokens = { admin: await here.tokenOf('admin'), analyst: await here.tokenOf('analyst') };

/** Three documents on axes of their own, and one that waits for its embedding. */
async function fill(sql: Sql): Promise<string[]> {
  const names = ['refunds', 'returns', 'hours'];
  const rows = names.map((externalId) => ({ externalId, text: `About ${externalId}`, metadata: { name: externalId } }));
  const ids = (await upsertDocuments(sql, rows)).map((row) => row.id);
  const documents = await findDocuments(sql, ids);
  const axis = (n: number) => Array.from({ length: 384 }, (_, i) => (i === n ? 1 : i === 3 ? 0.5 : 0));
  const items = documents.map(({ id, contentHash }) => ({ id, contentHash, embedding: axis(ids.indexOf(id)) }));
  await storeEmbeddings(sql, { model: 'all-MiniLM-L6-v2', items });
  await upsertDocuments(sql, [{ externalId: 'waiting', text: 'Not embedded yet' }]);
  return ids;
}
const [refunds = ''] = await fill(sql);

type Hit = { externalId: string; score?: number; ranks?: object };
const names = (body: Record<string, unknown>) => (body['items'] as Hit[]).map((hit) => hit.externalId);
const post = (path: string, body: object, token = tokens.analyst) =>
  here.call('POST', `/api/search/${path}`, { token, body });
const similar = (path: string, token = tokens.analyst) => here.call('GET', `/api/search/similar/${path}`, { token });

t.test('a hybrid search answers by meaning and words, with scores', async (t) => {
  const body = { query: 'returns', threshold: 1, explain: true };
  const found = await post('hybrid', body);
  t.match(found, {
    status: 200,
    body: {
      cache: 'miss',
      items: [{ externalId: 'returns', ranks: { vector: null, text: 1 } }],
      timings: { totalMs: Number, embedMs: Number, cacheMs: Number, sqlMs: Number },
    },
  });
  t.match((await post('hybrid', body)).body, { cache: 'hit', timings: { embedMs: null } });
  t.match(await post('hybrid', { ...body, exact: true, weights: { vector: 1, text: 0 } }), {
    status: 200,
    body: { cache: 'miss', items: { length: 0 } },
  });
});

t.test('similar documents are found by either id', async (t) => {
  t.same(names((await similar(`${refunds}?threshold=-1`)).body).toSorted(), ['hours', 'returns']);
  t.equal((await similar('refunds?threshold=-1')).body['cache'], 'hit');
  const filter = encodeURIComponent('{"name":"hours"}');
  const found = await similar(
    `refunds?collection=knowledge&within=knowledge&exact=true&limit=5&threshold=0&filter=${filter}`,
  );
  t.match(found, { status: 200, body: { cache: 'miss', model: 'all-MiniLM-L6-v2' } });
  t.same(names(found.body), ['hours']);
  t.match(await similar('nobody'), { status: 404, body: { code: 'not_found' } });
  t.match(await similar('waiting'), { status: 409, body: { code: 'conflict', detail: /not embedded yet/ } });
});

t.test('bad questions are refused by field', async (t) => {
  for (const [body, field] of [
    [{ query: 'x', weights: { vector: 0, text: 0 } }, 'weights'],
    [{ query: 'x', weights: { vector: 2 } }, 'weights.vector'],
    [{ query: 'x', weights: { words: 1 } }, 'weights.words'],
    [{ query: 'x', exact: 'yes' }, 'exact'],
    [{ query: 'x', threshold: 1.1 }, 'threshold'],
    [{ query: 'x', limit: 10_000 }, 'limit'],
    [{ query: '' }, 'query'],
    [{ query: 'x', filter: { $gt: 1 } }, 'filter.$gt'],
  ] as const) {
    t.match(await post('hybrid', body), { status: 400, body: { errors: [{ field }] } }, JSON.stringify(body));
  }
  for (const [query, field] of [
    ['limit=0', 'querystring.limit'],
    ['threshold=-2', 'querystring.threshold'],
    ['filter=x', 'querystring.filter'],
    ['filter={}', 'querystring.filter'],
    ['filter={"$gt":1}', 'querystring.filter.$gt'],
    ['within=No', 'querystring.within'],
    ['colour=red', 'querystring.colour'],
  ] as const) {
    t.match(await similar(`refunds?${query}`), { status: 400, body: { errors: [{ field }] } }, query);
  }
  t.match(await similar('refunds?within=nowhere'), {
    status: 404,
    body: { errors: [{ field: 'querystring.within' }] },
  });
});

t.test('an operator’s ceilings hold for a role in every gateway, without failing a search', async (t) => {
  const limits = (method: 'PUT' | 'DELETE', body?: object, query = '') =>
    here.call(method, `/api/admin/limits${query}`, { token: tokens.admin, ...(body && { body }) });
  const ask = async (gateway: typeof here, token: string, body: object = {}) =>
    (await gateway.call('POST', '/api/search/semantic', { token, body: { query: 'x', threshold: -1, ...body } })).body;
  t.equal(names(await ask(here, tokens.analyst)).length, 3);

  const limit = { scope: 'role', subject: 'analyst', maxSearchLimit: 2, minSearchThreshold: -0.5 };
  t.match(await limits('PUT', limit), { status: 200, body: { ...limit, weight: null } });
  t.match(here.audited.at(-1), { action: 'limit.set', subject: 'role:analyst', details: { maxSearchLimit: 2 } });
  await there.admission.refresh(); // it looks four times a second, but in tests
  for (const gateway of [here, there]) {
    const answer = await ask(gateway, tokens.analyst);
    t.equal(names(answer).length, 2);
    t.same(answer['clamped'], { limit: 2, threshold: -0.5 });
  }
  t.match((await similar('refunds?threshold=-1&limit=50')).body, { clamped: { limit: 2, threshold: -0.5 } });
  t.match((await post('hybrid', { query: 'x', limit: 3 })).body, { clamped: { limit: 2 } });
  t.notOk('clamped' in (await ask(here, tokens.analyst, { limit: 1, threshold: 0 })), 'what is below is left alone');
  t.equal(names(await ask(here, tokens.admin)).length, 3, 'other roles are not concerned');

  t.equal((await limits('DELETE', undefined, '?scope=role&subject=analyst')).status, 204);
  t.equal(names(await ask(here, tokens.analyst)).length, 3);
});

t.test('whatever changes what searches find tells every gateway before it is answered', async (t) => {
  const text = (body: string, type: string) => ({ body, headers: { 'content-type': type } });
  const line = (externalId: string) => JSON.stringify({ externalId, collection: 'told', text: 'Told' });
  const requests: Record<string, object> = {
    'PUT /api/collections/told': { body: { visibility: 'private' } },
    'POST /api/documents': { body: JSON.parse(line('one')) },
    'POST /api/documents ': text(line('two'), 'application/x-ndjson'),
    'POST /api/import?entity=documents': text(line('three'), 'application/x-ndjson'),
    'PUT /api/documents/embeddings': { body: { model: 'm', items: [] } },
    [`PUT /api/collections/told/grants/users/${users.analyst.id}`]: {},
    [`DELETE /api/collections/told/grants/users/${users.analyst.id}`]: {},
    'POST /api/collections/told/reindex/switch': { body: { model: 'm' } },
    'DELETE /api/documents/one?collection=told': {},
    'DELETE /api/documents?collection=told&filter=%7B%22a%22%3A1%7D': {},
    'DELETE /api/collections/told': {},
    'POST /api/admin/cache/clear': { body: { reason: 'a test' } },
  };
  // Another value for each change; the routes that follow are all there are.
  const told = () => direct.get('flowstate:search-epoch');
  for (const [request, how] of Object.entries(requests)) {
    const before = await told();
    const [method = '', path = ''] = request.trim().split(' ');
    const { status } = await here.call(method, path, { token: tokens.admin, ...how });
    t.not(await told(), before, `${request}: ${status}`);
  }
  const patternOf = (request: string) =>
    request
      .trim()
      .replace(/\?.*/, '')
      .replace(/told\/grants.*/, ':name/grants/:kind/:grantee')
      .replace('/told', '/:name')
      .replace('/one', '/:id');
  const changing = Object.keys(access).filter((route) =>
    /^(POST|PUT|PATCH|DELETE) \/api\/(documents|collections|import|admin\/cache)/.test(route),
  );
  // What searches use stays as it is until the new embeddings take its place.
  const beside = new Set(['POST /api/collections/:name/reindex', 'DELETE /api/collections/:name/reindex']);
  t.strictSame(
    [...new Set(Object.keys(requests).map(patternOf))].toSorted(),
    changing.filter((route) => !beside.has(route)).toSorted(),
  );
});

t.test('a gateway that cannot tell the others answers a change when they have forgotten by themselves', async (t) => {
  const embedding = Array.from({ length: 384 }, (_, i) => Number(i === 7));
  const stored = { externalId: 'secret', collection: 'ours', text: 'x', embedding, model: 'all-MiniLM-L6-v2' };
  const mine = { token: tokens.admin };
  t.equal((await there.call('PUT', '/api/collections/ours', { ...mine, body: { visibility: 'private' } })).status, 201);
  t.equal((await there.call('POST', '/api/documents', { ...mine, body: stored })).status, 200);
  const grant = `/api/collections/ours/grants/users/${users.analyst.id}`;
  t.equal((await there.call('PUT', grant, mine)).status, 200);
  const ask = () => post('semantic', { collection: 'ours', embedding, threshold: 0.5 });
  await ask();
  t.match(await ask(), { status: 200, body: { cache: 'hit', items: [{ externalId: 'secret' }] } });
  await there.cable.cut();
  t.equal((await there.call('DELETE', grant, mine)).status, 200);
  t.equal((await ask()).status, 404, 'from the answer on');
  await there.cable.mend();
});

t.test('searches are measured by kind, and slow ones logged without what was asked', async (t) => {
  const metrics = (await here.call('GET', '/api/metrics')).text;
  for (const kind of ['semantic', 'hybrid', 'similar']) {
    t.match(metrics, new RegExp(`^vector_search_duration_seconds_count\\{kind="${kind}",cache="miss"\\} [1-9]`, 'm'));
  }
  const query = 'nobody else may read this';
  const isSlow = (line: { msg: string }) => line.msg === 'slow search';
  const before = here.lines.filter(isSlow).length;
  // From one millisecond on: an exact search of whatever is there may be faster, so ask until one is not.
  for (let n = 0; here.lines.filter(isSlow).length === before; n += 1) {
    await post('hybrid', { query: `${query} ${n}`, filter: { name: 'private' }, exact: true });
  }
  const line = here.lines.findLast(isSlow);
  t.match(line, { kind: String, ms: Number, collections: ['knowledge'], limit: Number, threshold: Number });
  t.notMatch(JSON.stringify(here.lines), /nobody else|private/);
});

t.test('all of it is in the description of the API', async (t) => {
  const { body } = await here.call('GET', '/api/openapi.json');
  const text = JSON.stringify(body);
  for (const part of [
    '/api/search/hybrid',
    '/api/search/similar/{documentId}',
    'maxSearchLimit',
    'minSearchThreshold',
  ]) {
    t.ok(text.includes(part), part);
  }
});
