import { createRandom, createTestDatabase } from '@flowstate/test';
import postgres from 'postgres';
import t from 'tap';
import { createSql, findDocuments, matchDocuments, storeEmbeddings, upsertDocuments, type Sql } from '../src/index.ts';

const dimensions = 384;
const collections = ['knowledge'];

/** The same vectors on every run. */
const { next: random } = createRandom(7);
const centres = Array.from({ length: 20 }, () => Array.from({ length: dimensions }, () => random() - 0.5));
/** A vector around one of 20 topics, as embeddings of real texts lie. */
const vectorNear = (topic: number) => (centres[topic] ?? []).map((x) => x + (random() - 0.5) * 0.6);

/** 5,000 documents on 20 topics (enough for HNSW to be the cheaper plan); 1 % of them `rare`, all of those on topic 19. */
async function fill(sql: Sql): Promise<void> {
  for (let batch = 0; batch < 25; batch++) {
    const numbers = Array.from({ length: 200 }, (_, i) => batch * 200 + i);
    const stored = await upsertDocuments(
      sql,
      numbers.map((n) => ({ text: `text ${n}`, metadata: { topic: n % 20, rare: n % 100 === 19, n } })),
    );
    const documents = await findDocuments(
      sql,
      stored.map((row) => row.id),
    );
    const items = documents.map(({ id, contentHash, metadata }) => ({
      id,
      contentHash,
      embedding: vectorNear(Number(metadata['topic'])),
    }));
    await storeEmbeddings(sql, { model: 'm', items });
  }
  await sql`VACUUM ANALYZE documents`;
}

t.test('match_documents on 5,000 documents', async (t) => {
  const { url, sql } = await createTestDatabase(t);
  await fill(sql);
  const embedding = vectorNear(3);
  const match = (wanted: Partial<Parameters<typeof matchDocuments>[1]>, db: Sql = sql) =>
    matchDocuments(db, { embedding, threshold: -1, limit: 10, filter: {}, collections, ...wanted });

  await t.test('answers the nearest, nearest first, as a full scan does', async (t) => {
    const hits = await match({});
    const exact = await sql<{ id: string }[]>`
      SELECT id FROM documents ORDER BY embedding <=> ${`[${embedding.join()}]`}::vector LIMIT 10`;
    t.same(
      hits.map((hit) => hit.id),
      exact.map((row) => row.id),
    );
    t.same(
      hits.map((hit) => hit.similarity),
      hits.map((hit) => hit.similarity).toSorted((a, b) => b - a),
    );
    t.ok(hits.every((hit) => hit.metadata['topic'] === 3));
  });

  await t.test('threshold, limit, filter and collections narrow it down', async (t) => {
    const all = await match({ limit: 100 });
    const middle = all[49]?.similarity ?? 0;
    t.equal((await match({ limit: 100, threshold: middle })).length, 50, 'the threshold itself is within');
    t.same(await match({ threshold: 1 }), []);
    t.equal((await match({ limit: 1 })).length, 1);
    t.same(await match({ limit: 0 }), []);
    t.same(
      (await match({ filter: { n: 7 } })).map((hit) => hit.text),
      ['text 7'],
    );
    t.same(await match({ filter: { n: '7' } }), []);
    t.same(await match({ filter: { "n' OR 1=1 --": 7 } }), []);
    await t.rejects(
      match({ collections: ['knowledge', 'elsewhere'] }),
      { code: 'FS001' },
      'never fewer than asked for',
    );
    t.same(await match({ collections: [] }), []);
  });

  await t.test('the plan uses the HNSW index, without a filter and with a broad one', async (t) => {
    const plans: string[] = [];
    const watched = postgres(url, { max: 1, onnotice: (notice) => plans.push(notice['message'] ?? '') });
    t.teardown(() => watched.end());
    await watched.unsafe(`
      LOAD 'auto_explain';
      SET auto_explain.log_min_duration = 0;
      SET auto_explain.log_nested_statements = on;
      SET auto_explain.log_level = notice`);
    const planOf = async (wanted: Partial<Parameters<typeof matchDocuments>[1]>) => {
      plans.length = 0;
      await match(wanted, watched);
      return plans.find((plan) => plan.includes('nearest')) ?? '';
    };
    t.match(await planOf({}), /Index Scan using documents_embedding_384/);
    t.match(await planOf({ filter: { rare: false } }), /Index Scan using documents_embedding_384/);
    t.match(
      await planOf({ filter: { n: 7 } }),
      /Bitmap Index Scan on documents_metadata/,
      'a rare value by its own index',
    );
  });

  await t.test('a filter that 1 % of the rows pass, far from the query, still fills the limit from HNSW', async (t) => {
    const forced = createSql(url, { name: 'forced', max: 1 });
    t.teardown(() => forced.end());
    await forced`SET enable_seqscan = off`;
    await forced`SET enable_bitmapscan = off`;
    await forced`SET enable_sort = off`;
    const hits = await match({ filter: { rare: true }, limit: 20 }, forced);
    t.equal(hits.length, 20);
    t.ok(hits.every((hit) => hit.metadata['rare'] === true));
    const similarities = hits.map((hit) => hit.similarity);
    t.same(
      similarities,
      similarities.toSorted((a, b) => b - a),
      'relaxed order is put right',
    );
    // The same search without iterative scan runs dry: this is what the function's settings are for.
    await forced`SET hnsw.iterative_scan = off`;
    const dry = await forced`
      SELECT id FROM documents WHERE dimensions = 384 AND metadata @> '{"rare": true}'
      ORDER BY embedding::halfvec(384) <=> ${`[${embedding.join()}]`}::halfvec LIMIT 20`;
    t.ok(dry.length < 20, `${dry.length} without`);
  });

  await t.test('another dimension is searched exactly beside it', async (t) => {
    const [stored] = await upsertDocuments(sql, [{ text: 'small', collection: 'small' }]);
    const [document] = await findDocuments(sql, [stored?.id ?? '']);
    const { id = '', contentHash = '' } = document ?? {};
    await storeEmbeddings(sql, { model: 'small', items: [{ id, contentHash, embedding: [1, 2, 2] }] });
    t.match(await match({ embedding: [1, 2, 2], collections: ['small', 'knowledge'] }), [{ id, similarity: 1 }]);
    t.match(await match({ embedding: [-1, -2, -2], collections: ['small'] }), [{ id, similarity: -1 }]);
    t.equal((await match({ collections: ['small', 'knowledge'] })).length, 10);
  });
});
