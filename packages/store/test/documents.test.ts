import { createTestDatabase } from '@flowstate/test';
import t from 'tap';
import {
  deleteDocument,
  findCollections,
  findDocument,
  findDocuments,
  listDocuments,
  storeEmbeddings,
  upsertDocuments,
  type Sql,
} from '../src/index.ts';

async function versionOf(sql: Sql, name: string): Promise<number> {
  const [collection] = await findCollections(sql, [name]);
  return collection?.version ?? 0;
}

t.test('an upsert inserts, updates or leaves alone, and says which', async (t) => {
  const { sql } = await createTestDatabase(t);
  const [a, b] = await upsertDocuments(sql, [
    { externalId: 'a', title: 'A', text: 'one', metadata: { tier: 'gold' } },
    { text: 'nameless' },
  ]);
  t.match(
    [a, b],
    [
      { externalId: 'a', status: 'inserted', embedded: false },
      { externalId: null, status: 'inserted', embedded: false },
    ],
  );
  const again = await upsertDocuments(sql, [
    { externalId: 'c', text: 'three' },
    { externalId: 'a', title: 'A', text: 'one', metadata: { tier: 'gold' } },
    { externalId: 'a', collection: 'other', text: 'one' },
    { text: 'nameless' },
  ]);
  t.same(
    again.map((row) => row.status),
    ['inserted', 'unchanged', 'inserted', 'inserted'],
  );
  t.equal(again[1]?.id, a?.id);
  t.not(again[3]?.id, b?.id, 'without an external id there is nothing to recognise it by');
  t.same(await upsertDocuments(sql, []), []);
});

t.test('of two rows with one key the last counts', async (t) => {
  const { sql } = await createTestDatabase(t);
  const [first, second] = await upsertDocuments(sql, [
    { externalId: 'a', text: 'old' },
    { externalId: 'a', text: 'new' },
  ]);
  t.same(first, second);
  t.match(await findDocument(sql, 'a'), { id: first?.id, text: 'new' });
});

t.test('an embedding outlives new metadata but not new content', async (t) => {
  const { sql } = await createTestDatabase(t);
  await upsertDocuments(sql, [{ externalId: 'a', title: 'A', text: 'one' }]);
  const document = await findDocument(sql, 'a');
  const { id = '', contentHash = '' } = document ?? {};
  t.same(await storeEmbeddings(sql, { model: 'm', items: [{ id, contentHash, embedding: [3, 4] }] }), {
    items: [{ id, status: 'stored' }],
  });
  const metadata = { region: 'north' };
  t.match(await upsertDocuments(sql, [{ externalId: 'a', title: 'A', text: 'one', metadata }]), [
    { status: 'updated', embedded: true },
  ]);
  t.match(await upsertDocuments(sql, [{ externalId: 'a', title: 'B', text: 'one', metadata }]), [
    { status: 'updated', embedded: false },
  ]);
  t.same(
    await storeEmbeddings(sql, {
      model: 'm',
      items: [
        { id, contentHash, embedding: [3, 4] },
        { id: '00000000-0000-7000-8000-000000000000', contentHash, embedding: [3, 4] },
      ],
    }),
    {
      items: [
        { id, status: 'changed' },
        { id: '00000000-0000-7000-8000-000000000000', status: 'missing' },
      ],
    },
  );
  t.match(await findDocument(sql, id), { embedded: false });
});

t.test('a collection keeps the model and dimension of its first embedding', async (t) => {
  const { sql } = await createTestDatabase(t);
  await upsertDocuments(sql, [
    { externalId: 'a', text: 'one' },
    { externalId: 'b', text: 'two' },
    { externalId: 'c', text: 'three', collection: 'other' },
  ]);
  const of = async (externalId: string, embedding: number[]) => {
    const { id = '', contentHash = '' } = (await findDocument(sql, externalId)) ?? {};
    return { id, contentHash, embedding };
  };
  await storeEmbeddings(sql, { model: 'm', items: [await of('a', [1, 0])] });
  const wrong = { model: 'm', items: [await of('a', [0, 1]), await of('b', [1, 2, 3])] };
  await t.rejects(storeEmbeddings(sql, wrong), {
    code: 'invalid_input',
    errors: [{ field: 'items.1.embedding', message: /2 dimensions, .*not 3/ }],
  });
  await t.rejects(storeEmbeddings(sql, { model: 'n', items: [await of('b', [1, 2])] }), {
    code: 'invalid_input',
    errors: [{ field: 'model', message: /must be m: collection knowledge/ }],
  });
  for (const embedding of [
    [0, 0],
    [1.7e308, 1.7e308],
    [Infinity, 1],
    [Number.NaN, 1],
  ]) {
    await t.rejects(storeEmbeddings(sql, { model: 'm', items: [await of('b', embedding)] }), {
      errors: [{ field: 'items.0.embedding' }],
    });
  }
  t.match(await findDocument(sql, 'b'), { embedded: false }, 'nothing of a refused request is stored');
  await storeEmbeddings(sql, { model: 'n', items: [await of('c', [1e-45, 1, 1e300])] });
  t.match(await findCollections(sql), [
    { name: 'knowledge', model: 'm', dimensions: 2 },
    { name: 'other', model: 'n', dimensions: 3 },
  ]);

  await t.test('and a model has one dimension in all of them', async (t) => {
    await upsertDocuments(sql, [
      { externalId: 'd', text: 'four', collection: 'third' },
      { externalId: 'e', text: 'five', collection: 'fourth' },
    ]);
    await t.rejects(storeEmbeddings(sql, { model: 'n', items: [await of('d', [1, 2])] }), {
      code: 'invalid_input',
      errors: [{ field: 'items.0.embedding', message: /3 dimensions, as all by n in collection other, not 2/ }],
    });
    const bySql = sql`UPDATE collections SET model = 'n', dimensions = 2 WHERE name = 'third'`;
    await t.rejects(bySql, { code: '23503' }, 'whoever writes it');
    const atOnce = await Promise.allSettled([
      storeEmbeddings(sql, { model: 'new', items: [await of('d', [1, 2])] }),
      storeEmbeddings(sql, { model: 'new', items: [await of('e', [1, 2, 3])] }),
    ]);
    t.same(atOnce.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected'], 'the first of two decides');
    t.match(
      atOnce.find(({ status }) => status === 'rejected'),
      { reason: { code: 'invalid_input' } },
    );
    await sql`DELETE FROM documents WHERE collection IN ('third', 'fourth')`;
    await sql`DELETE FROM collections WHERE name IN ('third', 'fourth')`;
    await upsertDocuments(sql, [{ externalId: 'd', text: 'four', collection: 'third' }]);
    await storeEmbeddings(sql, { model: 'new', items: [await of('d', [1, 2, 3, 4])] });
    t.match(await findCollections(sql, ['third']), [{ dimensions: 4 }], 'nothing of what is gone holds');
  });
});

t.test('every write to a collection raises its version, and only its own', async (t) => {
  const { sql } = await createTestDatabase(t);
  const [a] = await upsertDocuments(sql, [
    { externalId: 'a', text: 'one' },
    { text: 'x', collection: 'other' },
  ]);
  const other = await versionOf(sql, 'other');
  let last = await versionOf(sql, 'knowledge');
  const rises = async (what: string, write: () => Promise<unknown>) => {
    await write();
    const now = await versionOf(sql, 'knowledge');
    t.ok(now > last, what);
    last = now;
  };
  await rises('insert', () => upsertDocuments(sql, [{ externalId: 'b', text: 'two' }]));
  await rises('update', () => upsertDocuments(sql, [{ externalId: 'b', text: 'three' }]));
  await rises('by hand', () => sql`UPDATE documents SET metadata = '{"x": 1}' WHERE external_id = 'b'`);
  await rises('delete', () => deleteDocument(sql, a?.id ?? ''));
  t.equal(await deleteDocument(sql, a?.id ?? ''), false);
  await upsertDocuments(sql, [{ externalId: 'b', text: 'three', metadata: { x: 1 } }]);
  t.equal(await versionOf(sql, 'knowledge'), last, 'unchanged');
  t.equal(await versionOf(sql, 'other'), other);
});

t.test('batches that share documents in opposite order do not deadlock', async (t) => {
  const { sql } = await createTestDatabase(t);
  const batch = (round: number) =>
    Array.from({ length: 40 }, (_, i) => ({
      externalId: `d${i}`,
      collection: i % 2 ? 'odd' : 'even',
      text: `${round}`,
    }));
  const rounds = Array.from({ length: 12 }, (_, round) => (round % 2 ? batch(round) : batch(round).toReversed()));
  await Promise.all(rounds.map((rows) => upsertDocuments(sql, rows)));
  const documents = await listDocuments(sql, { limit: 100 });
  t.equal(documents.length, 40);
  t.equal(new Set(documents.map((document) => document.text)).size, 1, 'one batch won as a whole');
});

t.test('documents are found by either id; an ambiguous one must be told apart', async (t) => {
  const { sql } = await createTestDatabase(t);
  const [a, b] = await upsertDocuments(sql, [
    { externalId: 'a', text: 'one', metadata: { "'; DROP TABLE documents; --": { $where: 'x' } } },
    { externalId: 'a', text: 'two', collection: 'other' },
  ]);
  const { id = '' } = a ?? {};
  t.match(await findDocument(sql, id.toUpperCase()), {
    id,
    metadata: { "'; DROP TABLE documents; --": { $where: 'x' } },
  });
  await t.rejects(findDocument(sql, 'a'), { code: 'conflict' });
  t.match(await findDocument(sql, 'a', 'other'), { id: b?.id });
  t.equal(await findDocument(sql, id, 'other'), null);
  t.equal(await findDocument(sql, "' OR 1=1 --"), null);
  t.same(
    (await findDocuments(sql, [id, '00000000-0000-7000-8000-000000000000'])).map((row) => row.id),
    [id],
  );
  const [newest] = await listDocuments(sql, { limit: 1 });
  const rest = await listDocuments(sql, { limit: 5, before: newest?.id });
  t.same(new Set([newest?.id, ...rest.map((row) => row.id)]), new Set([a?.id, b?.id]));
  t.equal((await listDocuments(sql, { limit: 5, collection: 'other' })).length, 1);
});
