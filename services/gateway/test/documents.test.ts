import { noteAwaitingRun, startForgotten } from '@flowstate/store';
import t from 'tap';
import { createDocumentsFixture, embedAll, publishIngest } from './fixtures/documents-fixture.ts';

const json = JSON.stringify;

t.test('documents are stored, embedded by a run, found, replaced and deleted', async (t) => {
  const { sql, call, embedder } = await createDocumentsFixture(t);
  await publishIngest(sql);
  const posted = await call('POST', '/api/documents', {
    externalId: 'KB/1 ü',
    title: 'Refunds',
    text: 'Refunds are paid to the original card within five days.',
    metadata: { product: 'billing' },
  });
  t.equal(posted.status, 202);
  t.match(posted.body, { run: { state: 'queued' }, documents: [{ externalId: 'KB/1 ü', status: 'inserted' }] });
  t.equal(posted.headers.location, `/api/runs/${posted.body.run.id}`);
  const { id } = posted.body.documents[0];
  const [run] = await sql<{ input: string; queue: string }[]>`
    SELECT input, queue FROM runs JOIN run_live USING (id) WHERE id = ${posted.body.run.id}`;
  t.same(run, { input: json({ documentIds: [id] }), queue: 'documents' });

  const path = `/api/documents/${encodeURIComponent('KB/1 ü')}`;
  t.match(await call('GET', path), { status: 200, body: { id, embedded: false, collection: 'knowledge' } });
  await embedAll(call, embedder);
  t.match(await call('GET', `/api/documents/${id}`), {
    status: 200,
    body: { embedded: true, metadata: { product: 'billing' } },
  });
  const query = { query: 'How do I get my money back?', collection: 'knowledge', filter: { product: 'billing' } };
  const found = await call('POST', '/api/search/semantic', query, 'analyst');
  t.match(found, {
    status: 200,
    body: { cache: 'miss', model: 'all-MiniLM-L6-v2', items: [{ id, externalId: 'KB/1 ü' }] },
  });
  t.match((await call('POST', '/api/search/semantic', query)).body, { cache: 'hit' });

  const again = await call('POST', '/api/documents', {
    externalId: 'KB/1 ü',
    title: 'Refunds',
    text: 'Refunds are paid to the original card within five days.',
    metadata: { product: 'cards' },
  });
  t.match(again, { status: 200, body: { run: null, documents: [{ id, status: 'updated' }] } }, 'nothing to embed anew');
  t.match((await call('POST', '/api/search/semantic', query)).body, { cache: 'miss', items: [] });

  t.equal((await call('DELETE', path)).status, 204);
  t.equal((await call('DELETE', path)).status, 404);
  t.match((await call('POST', '/api/search/semantic', { query: query.query })).body, { items: [] });
});

t.test('a batch comes as an array or under `documents` and starts one run for what is missing', async (t) => {
  const { sql, call } = await createDocumentsFixture(t);
  await publishIngest(sql);
  const rows = Array.from({ length: 120 }, (_, i) => ({ externalId: `d${i}`, text: `text ${i}` }));
  const first = await call('POST', '/api/documents', rows);
  t.equal(first.status, 202);
  t.same(
    first.body.documents.map((d: { externalId: string }) => d.externalId),
    rows.map((row) => row.externalId),
  );
  const second = await call('POST', '/api/documents', { documents: [...rows.slice(0, 2), { text: 'new' }] });
  t.match(second.body, {
    documents: [{ status: 'unchanged' }, { status: 'unchanged' }, { status: 'inserted', externalId: null }],
  });
  const inputs = await sql<{ input: string }[]>`SELECT input FROM runs ORDER BY id`;
  t.same(
    inputs.map((run) => JSON.parse(run.input).documentIds.length),
    [120, 3],
    'what an earlier run has not embedded yet is asked for again',
  );
});

t.test('lists page newest first, or answer exactly the ids asked for', async (t) => {
  const { sql, call } = await createDocumentsFixture(t);
  await publishIngest(sql);
  const { body } = await call('POST', '/api/documents', [
    ...Array.from({ length: 5 }, (_, i) => ({ text: `text ${i}` })),
    { text: 'elsewhere', collection: 'other' },
  ]);
  const ids: string[] = body.documents.map((document: { id: string }) => document.id);
  const seen: string[] = [];
  for (let cursor = ''; cursor !== null;) {
    const page = await call('GET', `/api/documents?limit=2&collection=knowledge${cursor && `&cursor=${cursor}`}`);
    seen.push(...page.body.items.map((document: { id: string }) => document.id));
    cursor = page.body.nextCursor;
  }
  t.same(seen, ids.slice(0, 5).toSorted().toReversed());
  const missing = '00000000-0000-7000-8000-000000000000';
  const some = await call('GET', `/api/documents?ids=${ids[5]},${missing},${ids[0]}`);
  t.same(new Set(some.body.items.map((document: { id: string }) => document.id)), new Set([ids[0], ids[5]]));
  t.match(await call('GET', `/api/documents?ids=${ids[0]},x`), {
    status: 400,
    body: { errors: [{ field: 'querystring.ids' }] },
  });
  t.match(await call('GET', '/api/documents?cursor=x'), {
    status: 400,
    body: { errors: [{ field: 'querystring.cursor' }] },
  });
  t.match(await call('GET', '/api/documents?limit=201'), { status: 400 });
});

t.test('bad documents are refused by row and field', async (t) => {
  const { sql, call } = await createDocumentsFixture(t);
  await publishIngest(sql);
  const good = { externalId: 'g', text: 'good' };
  const nested = JSON.parse(`${'{"a":'.repeat(40)}1${'}'.repeat(40)}`);
  const cases: [body: unknown, field: string][] = [
    [{}, 'text'],
    [{ text: ' \n' }, 'text'],
    [{ text: 'a\0b' }, 'text'],
    [{ text: 'x'.repeat(100_001) }, 'text'],
    [{ text: 'x', metadata: { 'k\ud800': 1 } }, 'metadata'],
    [{ text: 'x', metadata: nested }, `metadata${'.a'.repeat(19)}`],
    [{ text: 'x', colection: 'typo' }, 'colection'],
    [{ text: 'x', collection: 'No Spaces' }, 'collection'],
    [{ text: 'x', externalId: '' }, 'externalId'],
    [[], 'documents'],
    [{ documents: 'x' }, 'documents'],
    [{ documents: [good], more: 1 }, 'more'],
    [[{ text: 7 }, null], 'documents.0.text'],
    [[null, { text: 7 }], 'documents.0'],
    [{ documents: [{ text: 'x', metadata: { name: 'a\0' } }] }, 'documents.0.metadata.name'],
    [Array.from({ length: 1_001 }, () => ({ text: 'x' })), 'documents'],
    ['null', 'body'],
    ['7', 'body'],
  ];
  for (const [body, field] of cases) {
    const answer = await call('POST', '/api/documents', body);
    t.match(
      answer,
      { status: 400, body: { code: 'invalid_input', errors: [{ field }] } },
      `${field}: ${json(answer.body.errors)}`,
    );
  }
  t.match(await call('POST', '/api/documents', '{"text":'), { status: 400 });
  t.match(await call('POST', '/api/documents', { text: 'x', pad: 'y'.repeat(1024 * 1024) }), { status: 413 });
  const many = await call(
    'POST',
    '/api/documents',
    Array.from({ length: 900 }, () => ({})),
  );
  t.equal(many.body.errors.length, 100, 'as many complaints as help');
  const [count] = await sql<{ count: number }[]>`SELECT count(*) FROM documents`;
  t.equal(count?.count, 0);

  const mixed = {
    documents: [good, { text: '' }, { ...good, text: 'again' }, null, { text: 'x', colour: 'red' }, good],
  };
  const { status, body } = await call('POST', '/api/documents', mixed);
  t.equal(status, 202);
  t.match(body.documents, [{ externalId: 'g', status: 'inserted' }]);
  t.equal(body.documents.length, 1);
  const again = [{ field: 'externalId', message: 'is that of line 1 too' }];
  t.same(body.rejections, [
    { line: 2, errors: [{ field: 'text', message: 'must not be empty' }] },
    { line: 3, externalId: 'g', errors: again },
    { line: 4, errors: [{ field: 'row', message: 'is not a JSON object' }] },
    { line: 5, errors: [{ field: 'colour', message: 'is not known here' }] },
    { line: 6, externalId: 'g', errors: again },
  ]);
  t.match((await call('GET', '/api/documents/g')).body, { text: 'good' });
});

t.test('odd but storable documents come back as they were', async (t) => {
  const { sql, call } = await createDocumentsFixture(t);
  await publishIngest(sql);
  const text = `'; DROP TABLE documents; -- \u{1f600} "\\u0041" ${'é'.repeat(200)}`;
  const metadata = {
    nested: { 'a b.c:d/e@f-g': [1, null, "'; DROP TABLE documents; --"], 漢: { _: 0.1 } },
    n: [2 ** 53 - 1, -1.5e-300],
  };
  const externalId = "' OR 1=1 --/../%2e%2e";
  const { body } = await call('POST', '/api/documents', { externalId, text, metadata, title: null });
  t.match(await call('GET', `/api/documents/${encodeURIComponent(externalId)}`), {
    status: 200,
    body: { id: body.documents[0].id, text, metadata, externalId, title: null },
  });
  const long = '漢'.repeat(255);
  await call('POST', '/api/documents', { externalId: long, text: 'x' });
  t.equal((await call('GET', `/api/documents/${encodeURIComponent(long)}`)).status, 200);
  for (const id of ['nowhere', '%00', '%F0%9F%98%80', '00000000-0000-7000-8000-000000000000']) {
    t.equal((await call('GET', `/api/documents/${id}`)).status, 404, id);
  }
  await call('POST', '/api/documents', { externalId, text, collection: 'other' });
  const ambiguous = `/api/documents/${encodeURIComponent(externalId)}`;
  t.equal((await call('DELETE', ambiguous)).status, 409);
  t.equal((await call('DELETE', `${ambiguous}?collection=other`)).status, 204);
  t.equal((await call('GET', ambiguous)).status, 200);
});

t.test('embeddings are taken for the content they were made from, of one model and dimension', async (t) => {
  const { sql, call } = await createDocumentsFixture(t);
  await publishIngest(sql);
  await call('POST', '/api/documents', [
    { externalId: 'a', text: 'one' },
    { externalId: 'b', text: 'two' },
  ]);
  const a = (await call('GET', '/api/documents/a')).body;
  const b = (await call('GET', '/api/documents/b')).body;
  const put = (items: unknown[], model = 'm') => call('PUT', '/api/documents/embeddings', { model, items });
  const item = ({ id, contentHash }: { id: string; contentHash: string }, embedding: unknown) => ({
    id,
    contentHash,
    embedding,
  });

  await call('POST', '/api/documents', { externalId: 'b', text: 'two, changed meanwhile' });
  t.match(await put([item(a, [1, 2, 3]), item(b, [1, 2, 3])]), {
    status: 200,
    body: {
      items: [
        { id: a.id, status: 'stored' },
        { id: b.id, status: 'changed' },
      ],
    },
  });
  t.match(await put([item(a, [1, 2])]), { status: 400, body: { errors: [{ field: 'items.0.embedding' }] } });
  t.match(await put([item(a, [1, 2, 3])], 'another'), { status: 400, body: { errors: [{ field: 'model' }] } });
  for (const embedding of [[], [0, 0, 0], [1, null, 3], ['NaN', 1, 2], 'x', [[1]]]) {
    const answer = await put([item(a, embedding)]);
    t.equal(answer.status, 400, json(embedding));
    t.match(answer.body.errors[0].field, /^items\.0\.embedding/);
  }
  t.match(
    await call(
      'PUT',
      '/api/documents/embeddings',
      `{"model":"m","items":[{"id":"${a.id}","contentHash":"x","embedding":[NaN]}]}`,
    ),
    { status: 400 },
  );
  t.equal((await put([])).status, 400);
});

t.test('bad searches are refused by field', async (t) => {
  const { sql, call, embedder } = await createDocumentsFixture(t);
  await publishIngest(sql);
  await call('POST', '/api/documents', { externalId: 'a', text: 'Refunds take five days' });
  await embedAll(call, embedder);
  const cases: [body: unknown, field: string][] = [
    [{}, 'query'],
    [{ query: '' }, 'query'],
    [{ query: '  ' }, 'query'],
    [{ query: 'x'.repeat(8_001) }, 'query'],
    [{ query: 'x', threshold: 1.1 }, 'threshold'],
    [{ query: 'x', threshold: -1.1 }, 'threshold'],
    [{ query: 'x', threshold: 'NaN' }, 'threshold'],
    [{ query: 'x', limit: 0 }, 'limit'],
    [{ query: 'x', limit: 10_000 }, 'limit'],
    [{ query: 'x', limit: 1.5 }, 'limit'],
    [{ query: 'x', filter: [] }, 'filter'],
    [{ query: 'x', filter: { $regex: '.*' } }, 'filter.$regex'],
    [{ query: 'x', collection: 'A B' }, 'collection'],
    [{ query: 'x', model: 'y' }, 'model'],
  ];
  for (const [body, field] of cases) {
    t.match(
      await call('POST', '/api/search/semantic', body),
      { status: 400, body: { errors: [{ field }] } },
      json(body).slice(0, 60),
    );
  }
  t.match(await call('POST', '/api/search/semantic', { query: 'x', collection: 'nowhere' }), { status: 404 });
  const edges = { query: 'refunds', threshold: -1, limit: 100, filter: {} };
  t.match(await call('POST', '/api/search/semantic', edges), { status: 200, body: { items: [{ externalId: 'a' }] } });
});

t.test('only those who feed the knowledge base may touch documents, all who are logged in may search', async (t) => {
  const { sql, call } = await createDocumentsFixture(t);
  await publishIngest(sql);
  for (const role of ['analyst', 'agent'] as const) {
    t.equal((await call('POST', '/api/documents', { text: 'x' }, role)).status, 403);
    t.equal((await call('GET', '/api/documents', undefined, role)).status, 403);
    t.equal((await call('POST', '/api/search/semantic', { query: 'x' }, role)).status, 200);
  }
  t.equal((await call('POST', '/api/documents', { text: 'x' }, 'nobody')).status, 401);
  t.equal((await call('POST', '/api/search/semantic', { query: 'x' }, 'nobody')).status, 401);
});

t.test('what was stored is embedded, also when whoever stored it started no run', async (t) => {
  const { sql, call, embedder } = await createDocumentsFixture(t);
  const startAll = (afterMs: number) => startForgotten(sql, { afterMs, limit: 2 });
  const rows = ['a', 'b', 'c'].map((externalId) => ({ externalId, text: `the text ${externalId}` }));
  t.match(await call('POST', '/api/documents', rows), {
    status: 503,
    headers: { 'retry-after': '5' },
    body: { detail: /stored/ },
  });
  t.equal(await startAll(0), null, 'there is nobody to embed it');
  await publishIngest(sql);
  t.equal(await startAll(60_000), null, 'its gateway may be about to');
  const again = await call('POST', '/api/documents', rows[0]);
  t.match(again, { status: 202, body: { documents: [{ status: 'unchanged' }] } });

  const started = await startAll(0);
  t.match(started, { runId: String, documents: 2 }, 'the two that were not sent again');
  const [run] = await sql<{ input: string }[]>`
    SELECT r.input, r.role, r.tags, r.principal_id = o.principal_id AS same, l.state
    FROM runs r JOIN run_live l USING (id), runs o
    WHERE r.id = ${started?.runId ?? ''} AND o.id = ${again.body.run.id}`;
  t.match(run, { role: 'integration', tags: ['recovered'], same: true, state: 'queued' });
  const [{ id }] = again.body.documents;
  const { documentIds } = JSON.parse(run?.input ?? '');
  t.match([documentIds.length, documentIds.includes(id)], [2, false]);
  t.equal(await startAll(0), null);

  await noteAwaitingRun(sql, documentIds, { id, role: 'integration' });
  await embedAll(call, embedder);
  t.same(await startAll(0), { runId: null, documents: 0 }, 'embedded by now');
  t.equal(await startAll(0), null);
});
