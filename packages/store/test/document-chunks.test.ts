import { createTestDatabase } from '@flowstate/test';
import postgres from 'postgres';
import t from 'tap';
import {
  deleteDocument,
  findCollections,
  findDocument,
  matchDocuments,
  storeEmbeddings,
  upsertDocuments,
  type Sql,
} from '../src/index.ts';

const text = 'First part. Second part. Third part. ';
const places = [
  { begin: 0, length: 12 },
  { begin: 12, length: 13 },
  { begin: 25, length: 12 },
];
const axes = [
  [1, 0, 0],
  [0, 1, 0],
  [0, 0, 1],
];

/** Part `index` of the document, as a worker hands it in. */
async function part(sql: Sql, externalId: string, index: number, embedding = axes[index] ?? [], of = 3) {
  const { id = '', contentHash = '' } = (await findDocument(sql, externalId)) ?? {};
  return { id, contentHash, embedding, chunk: { index, of, ...(places[index] ?? { begin: 0, length: 5 }) } };
}

const match = (sql: Sql, embedding: number[], more: { limit?: number; filter?: object; threshold?: number } = {}) =>
  matchDocuments(sql, {
    embedding,
    threshold: 0.5,
    limit: 10,
    collections: ['knowledge'],
    ...more,
    filter: { ...more.filter },
  });

const store = async (sql: Sql, ...items: Awaited<ReturnType<typeof part>>[]) =>
  (await storeEmbeddings(sql, { model: 'm', items })).items.map((item) => item.status);

const countChunks = async (sql: Sql) =>
  (await sql<{ n: number }[]>`SELECT count(*)::int AS n FROM document_chunks`)[0]?.n;

t.test('a document is found by its nearest part and answered with it, once all its parts are there', async (t) => {
  const { sql } = await createTestDatabase(t);
  await upsertDocuments(sql, [{ externalId: 'a', text, metadata: { kind: 'long' } }]);
  t.same(await store(sql, await part(sql, 'a', 0)), ['changed'], 'the others are missing');
  t.same(await store(sql, await part(sql, 'a', 2), await part(sql, 'a', 1)), ['stored', 'stored']);
  t.match(await findDocument(sql, 'a'), { embedded: false });
  t.same(await match(sql, [0, 0, 1]), [], 'not before it is whole');
  const [before] = await findCollections(sql);
  t.same(await store(sql, await part(sql, 'a', 0)), ['stored']);
  const [after] = await findCollections(sql);
  t.ok((after?.version ?? 0) > (before?.version ?? 0), 'cached answers end when it comes in');
  for (const [i, axis] of axes.entries()) {
    const hits = await match(sql, axis);
    t.match(hits, [{ externalId: 'a', similarity: 1, text: ['First part. ', 'Second part. ', 'Third part. '][i] }]);
    t.equal(hits.length, 1);
  }
  t.match(await findDocument(sql, 'a'), { embedded: true, text });
  t.equal((await match(sql, [0, 0, 1], { filter: { kind: 'long' } })).length, 1);
  t.same(await match(sql, [0, 0, 1], { filter: { kind: 'short' } }), []);
  t.same(await match(sql, [0, 0.8, 0.8], { threshold: 0.8 }), []);
});

t.test('many near parts of one document do not crowd out others', async (t) => {
  const { sql } = await createTestDatabase(t);
  await upsertDocuments(sql, [
    { externalId: 'long', text },
    ...[1, 2, 3].map((i) => ({ externalId: `other${i}`, text })),
  ]);
  for (let index = 150; index >= 0; index -= 50) {
    const some = Array.from({ length: Math.min(50, index + 1) }, (_, i) => index - i);
    await store(sql, ...(await Promise.all(some.map((i) => part(sql, 'long', i, [0, 1, i / 1_000], 151)))));
  }
  for (const i of [1, 2, 3]) {
    const parts = [await part(sql, `other${i}`, 1, [0, 1, i], 2), await part(sql, `other${i}`, 0, [1, 0, 0], 2)];
    t.same(await store(sql, ...parts), ['stored', 'stored']);
  }
  const hits = await match(sql, [0, 1, 0], { limit: 3, threshold: -1 });
  t.match(hits, [{ externalId: 'long' }, { externalId: 'other1' }, { externalId: 'other2' }]);
  t.same(
    hits.slice(1).map((hit) => hit.text),
    ['Second part. ', 'Second part. '],
    'found by their near parts, which come after 150 nearer ones',
  );
});

t.test('among many parts the scan is that of their HNSW index', async (t) => {
  const { url, sql } = await createTestDatabase(t);
  // 3,000 documents of two parts, by SQL: pseudo-random vectors, the same on every run.
  await sql.begin(async (tx) => {
    await tx`SELECT setseed(0.5)`;
    await tx`INSERT INTO collections (name, model, dimensions) VALUES ('knowledge', 'm', 384)`;
    await tx`
      INSERT INTO documents (id, collection, text, content_hash, embedding, first_length)
      SELECT md5('d' || i)::uuid, 'knowledge', 'One. Two.', 'h',
             array(SELECT random() - 0.5 FROM generate_series(1, 384) WHERE i > 0)::vector, 5
      FROM generate_series(1, 3000) i`;
    await tx`
      INSERT INTO document_chunks (document_id, index, content_hash, begin, length, embedding)
      SELECT md5('d' || i)::uuid, 1, 'h', 5, 4,
             array(SELECT random() - 0.5 FROM generate_series(1, 384) WHERE i > 0)::vector
      FROM generate_series(1, 3000) i`;
  });
  await sql`VACUUM ANALYZE documents, document_chunks`;
  const [wanted] = await sql<{ id: string; embedding: string }[]>`
    SELECT document_id AS id, embedding::text FROM document_chunks WHERE document_id = md5('d77')::uuid`;
  const plans: string[] = [];
  const watched = postgres(url, { max: 1, onnotice: (notice) => plans.push(notice['message'] ?? '') });
  t.teardown(() => watched.end());
  await watched.unsafe(`
    LOAD 'auto_explain';
    SET auto_explain.log_min_duration = 0;
    SET auto_explain.log_nested_statements = on;
    SET auto_explain.log_level = notice`);
  const embedding = JSON.parse(wanted?.embedding ?? '[]') as number[];
  const [hit] = await match(watched, embedding, { limit: 5 });
  t.match(hit, { id: wanted?.id, text: 'Two.' });
  t.ok((hit?.similarity ?? 0) > 0.9999);
  t.match(plans.join('\n'), /Index Scan using document_chunks_embedding_384/);
});

t.test('parts of earlier content are not found any more, and go with the new ones or the document', async (t) => {
  const { sql } = await createTestDatabase(t);
  const [stored] = await upsertDocuments(sql, [{ externalId: 'a', text }]);
  const old = [await part(sql, 'a', 2), await part(sql, 'a', 1), await part(sql, 'a', 0)];
  await store(sql, ...old);
  await upsertDocuments(sql, [{ externalId: 'a', text: 'Short now.' }]);
  t.same(await match(sql, [0, 0, 1]), []);
  t.same(await store(sql, ...old), ['changed', 'changed', 'changed']);
  const { id = '', contentHash = '' } = (await findDocument(sql, 'a')) ?? {};
  await storeEmbeddings(sql, { model: 'm', items: [{ id, contentHash, embedding: [1, 1, 0] }] });
  t.equal(await countChunks(sql), 0);
  t.same(await match(sql, [0, 0, 1]), []);
  t.match(await match(sql, [1, 1, 0]), [{ text: 'Short now.' }]);

  await upsertDocuments(sql, [{ externalId: 'a', text }]);
  await store(sql, ...old);
  t.equal(await countChunks(sql), 2);
  await deleteDocument(sql, stored?.id ?? '');
  t.equal(await countChunks(sql), 0);
});

t.test('a part that cannot be is refused by field, and nothing of its request is stored', async (t) => {
  const { sql } = await createTestDatabase(t);
  await upsertDocuments(sql, [{ externalId: 'a', text }]);
  await t.rejects(store(sql, await part(sql, 'a', 1), await part(sql, 'a', 2, [1, 0, 0], 2)), {
    code: 'invalid_input',
    errors: [{ field: 'items.1.chunk.index', message: /below 2/ }],
  });
  t.equal(await countChunks(sql), 0);
  await store(sql, await part(sql, 'a', 2));
  await t.rejects(store(sql, await part(sql, 'a', 1, [1, 0])), { errors: [{ field: 'items.0.embedding' }] });
  t.same(await store(sql, await part(sql, 'a', 1), await part(sql, 'a', 1)), ['stored', 'stored'], 'twice is no error');
});
