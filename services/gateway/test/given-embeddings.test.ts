import { insertUser, removeCollection, writeCollection } from '@flowstate/store';
import t from 'tap';
import { createDocumentsFixture, publishIngest } from './fixtures/documents-fixture.ts';

const { sql, call, embedder } = await createDocumentsFixture(t);
await publishIngest(sql);
const { model } = embedder;
const count = async () => (await sql<{ n: number }[]>`SELECT count(*)::int AS n FROM documents`)[0]?.n;

await t.test('a document that brings its embedding is found at once, without a run', async (t) => {
  const text = 'Refunds take five days';
  const [embedding] = await embedder.embed([text]);
  const posted = await call('POST', '/api/documents', { externalId: 'a', text, embedding, model });
  t.match(posted, { status: 200, body: { run: null, documents: [{ externalId: 'a', status: 'inserted' }] } });
  t.match((await call('POST', '/api/search/semantic', { query: 'refunds' })).body, {
    items: [{ externalId: 'a', text }],
  });
  const large = embedding?.map((x) => x * 1e30);
  t.equal((await call('POST', '/api/documents', { externalId: 'a', text, embedding: large, model })).status, 200);
  const mixed = await call('POST', '/api/documents', [
    { externalId: 'b', text: 'Without' },
    { externalId: 'c', text: 'With', embedding, model },
  ]);
  t.equal(mixed.status, 202);
  const [run] = await sql<{ input: string }[]>`SELECT input FROM runs WHERE id = ${mixed.body.run.id}`;
  t.same(JSON.parse(run?.input ?? ''), { documentIds: [mixed.body.documents[0].id] }, 'only the other is computed');
});

await t.test(
  'an embedding that does not fit is refused by row and field, and the others of its batch are stored',
  async (t) => {
    const before = await count();
    const good = { text: 'x', model, embedding: Array.from({ length: 384 }, () => 1) };
    const cases: [body: unknown, field: string][] = [
      [{ ...good, embedding: [1, 2] }, 'embedding'],
      [{ ...good, embedding: Array.from({ length: 384 }, () => 0) }, 'embedding'],
      [{ ...good, embedding: [...good.embedding.slice(1), null] }, 'embedding.383'],
      [{ ...good, embedding: 'x' }, 'embedding'],
      [{ ...good, model: 'another' }, 'model'],
      [{ ...good, model: undefined }, 'model'],
      [{ ...good, embedding: undefined }, 'embedding'],
      [
        [
          { ...good, embedding: [1, 2] },
          { ...good, model: undefined },
        ],
        'documents.0.embedding',
      ],
    ];
    for (const [body, field] of cases) {
      const answer = await call('POST', '/api/documents', body);
      t.match(answer, { status: 400, body: { errors: [{ field }] } }, `${field}: ${JSON.stringify(answer.body)}`);
    }
    t.match(await call('POST', '/api/documents', `{"text":"x","model":"${model}","embedding":[NaN]}`), { status: 400 });
    t.equal(await count(), before);
    const mixed = [good, { ...good, collection: 'other', model: 'another' }, { ...good, model: 'another' }];
    t.match(await call('POST', '/api/documents', [...mixed, { ...good, embedding: [1, 2] }, { text: 'y' }]), {
      status: 202,
      body: {
        documents: [{ status: 'inserted' }, { status: 'inserted' }, { status: 'inserted' }],
        rejections: [
          { line: 3, errors: [{ field: 'model' }] },
          { line: 4, errors: [{ field: 'embedding' }] },
        ],
      },
    });
  },
);

await t.test(
  'embeddings of a model that is not here are searched by embeddings of it, and by nothing else',
  async (t) => {
    const own = { collection: 'mine', model: 'my-own' };
    const stored = await call('POST', '/api/documents', { ...own, externalId: 'm', text: 'Mine', embedding: [1, 2] });
    t.equal(stored.status, 200);
    const ask = (body: object) => call('POST', '/api/search/semantic', { threshold: 0.9, ...body });
    const found = { status: 200, body: { model: 'my-own', items: [{ externalId: 'm', similarity: 1 }] } };
    t.match(await ask({ embedding: [2, 4], collection: 'mine' }), found);
    t.match(await ask({ embedding: [2, 4], model: 'my-own' }), found);
    t.match(await ask({ embedding: [2, 4], ...own }), found);
    t.match(await ask({ embedding: [2, 4], collection: 'mine', model: 'another' }), {
      status: 400,
      body: { errors: [{ field: 'model', message: /my-own/ }] },
    });
    t.match(await ask({ embedding: [1, 2, 3], model: 'my-own' }), {
      status: 400,
      body: { errors: [{ field: 'embedding' }] },
    });
    t.match(await ask({ embedding: [1, 2], model: 'nobodys' }), { status: 200, body: { items: { length: 0 } } });
    t.match(await ask({ query: 'mine', collection: 'mine' }), { status: 409, body: { detail: /my-own/ } });
    t.match(await ask({ query: 'refunds' }), { status: 200, body: { model } }, 'it is in nobody’s way');

    const batch = [
      { collection: 'mine', text: 'New' },
      { collection: 'mine', externalId: 'm', text: 'Mine', metadata: { a: 1 } },
    ];
    t.match(await call('POST', '/api/documents', batch), {
      status: 200,
      body: {
        run: null,
        documents: [{ externalId: 'm', status: 'updated' }],
        rejections: [{ line: 1, errors: [{ field: 'embedding', message: /nothing here embeds by my-own/ }] }],
      },
    });
  },
);

await t.test('a document whose embedding is another one is updated, and unchanged with the same', async (t) => {
  const own = { collection: 'told', model: 'told', text: 'x' };
  const store = async (body: unknown) => {
    const answer = await call('POST', '/api/documents', body);
    t.equal(answer.status, 200, JSON.stringify(answer.body));
    return answer.body.documents.map(({ status }: { status: string }) => status);
  };
  const a = { ...own, externalId: 'a', embedding: [1, 2, 3] };
  const b = { ...own, externalId: 'b', embedding: [0.1, 0.7, 1 / 3] };
  t.same(await store([a, b]), ['inserted', 'inserted']);
  t.same(await store([a, b]), ['unchanged', 'unchanged']);
  t.same(await store([{ ...a, embedding: [3, 2, 1] }, b]), ['updated', 'unchanged']);
  t.same(await store([a, { ...b, metadata: { n: 1 } }]), ['updated', 'updated']);
  const waiting = { externalId: 'waiting', text: 'Waits for a worker' };
  t.equal((await call('POST', '/api/documents', waiting)).status, 202);
  const [embedding] = await embedder.embed([waiting.text]);
  t.same(await store({ ...waiting, embedding, model }), ['updated'], 'it had none');
});

await t.test('a length that a model has elsewhere is refused with where, to whoever may see that', async (t) => {
  const store = (collection: string, embedding: number[]) =>
    call('POST', '/api/documents', { collection, text: 'x', model: 'misnamed', embedding });
  const refused = (where: RegExp) => ({ status: 400, body: { errors: [{ field: 'embedding', message: where }] } });
  t.equal((await store('mistaken', [1, 2])).status, 200);
  t.match(
    await store('others', [1, 2, 3]),
    refused(/have 2 dimensions, as all by misnamed in collection mistaken, not 3/),
  );

  const someone = { email: 'someone@example.org', name: 'Someone', role: 'manager' as const, passwordHash: null };
  const owner = (await insertUser(sql, someone)) ?? { id: '', role: 'manager' as const };
  await writeCollection(sql, 'mistaken', { visibility: 'private', ownerId: owner.id }, { id: owner.id, role: 'admin' });
  const hidden = await store('others', [1, 2, 3]);
  t.match(hidden, refused(/as all by misnamed in a collection that you do not see, not 3/));
  t.notMatch(JSON.stringify(hidden.body), 'mistaken');

  await sql.begin((tx) => removeCollection(tx, 'mistaken', owner));
  t.equal((await store('others', [1, 2, 3])).status, 200, 'nothing of it is left in the way');
});
